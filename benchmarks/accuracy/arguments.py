"""Arguments where the elementary functions may be inexact, as float64: where a search begins."""

import math
from typing import Any

import numpy as np
from fastloss_kernels.reductions.exp_rows import HEADROOM_F32, HEADROOM_F64
from numpy.typing import NDArray

Array = NDArray[Any]
Rng = np.random.Generator
Pair = tuple[Array, Array]
LOG2_E, LN2 = math.log2(math.e), math.log(2)


def around_breaks(rng: Rng, n: int, dtype: Any) -> Array:
    """Return arguments of e^x: anywhere, near (n + 1/2) log 2 where n jumps, and near 0."""
    lowest, highest = (-103.9, 88.72) if dtype == np.float32 else (-745.1, 709.78)
    anywhere = rng.uniform(lowest, highest, n)
    breaks = (np.rint(anywhere * LOG2_E) + 0.5) * LN2
    near = breaks * (1 + rng.normal(size=n) * 10.0 ** rng.uniform(-16, -1, n))
    small = anywhere * 10.0 ** rng.uniform(-20, 0, n)
    how = rng.integers(0, 3, n)
    x = np.select([how == 0, how == 1], [anywhere, near], small)
    return np.clip(x, lowest, highest)


def around_powers(rng: Rng, n: int, dtype: Any) -> Array:
    """Return positive x: of every exponent, near 1, and near sqrt(1/2) times powers of two."""
    info = np.finfo(dtype)
    any_exponent = np.exp2(rng.uniform(info.minexp - info.nmant, info.maxexp, n))
    near = 1 + rng.choice([-1, 1], n) * 10.0 ** rng.uniform(-16, -0.3, n)
    root = math.sqrt(0.5) * near * np.exp2(rng.integers(-30, 30, n))
    how = rng.integers(0, 4, n)
    choices = [any_exponent, near, root]
    x = np.select([how == 0, how == 1, how == 2], choices, rng.uniform(0.5, 2.0, n))
    return np.clip(x, float(info.smallest_subnormal), float(info.max))


def around_0(rng: Rng, n: int, dtype: Any) -> Array:
    """Return x > -1: such that 1 + x is of `around_powers`, and tiny ones of both signs."""
    smallest = np.log10(float(np.finfo(dtype).tiny))
    tiny = rng.choice([-1, 1], n) * 10.0 ** rng.uniform(smallest, -0.3, n)
    x = np.where(rng.random(n) < 0.7, around_powers(rng, n, dtype) - 1, tiny)
    return np.maximum(x, np.nextafter(-1.0, 0.0))


def below_0(rng: Rng, n: int, dtype: Any) -> Array:
    """Return x up to 0 of `around_breaks`."""
    return -np.abs(around_breaks(rng, n, dtype))


def from_0_to_1(rng: Rng, n: int, dtype: Any) -> Array:
    """Return x from 0 to 1, tiny ones among them."""
    return np.minimum(np.abs(around_0(rng, n, dtype)), rng.uniform(0, 1, n))


def rounded_pairs(rng: Rng, n: int, dtype: Any) -> Pair:
    """Return normal u, and what rounding to u may have lost, in the dtype."""
    u = np.maximum(around_powers(rng, n, dtype), float(np.finfo(dtype).tiny)).astype(dtype)
    lost = np.spacing(u) * rng.uniform(-0.5, 0.5, n).astype(dtype)
    return u.astype(np.float64), lost.astype(np.float64)


def probabilities(rng: Rng, n: int, dtype: Any) -> Pair:
    """Return two numbers from 1e-7 to 1 each: any, or near to each other."""
    u, p = np.exp(rng.uniform(math.log(1e-7), 0, (2, n)))
    near = u * (1 + rng.choice([-1, 1], n) * 10.0 ** rng.uniform(-16, -0.3, n))
    p = np.clip(np.where(rng.random(n) < 0.5, p, near), 1e-7, 1)
    return u.astype(dtype).astype(np.float64), p.astype(dtype).astype(np.float64)


def logits(rng: Rng, n: int, dtype: Any) -> Pair:
    """Return logits and the K of a larger one, so far away that results are down to subnormal."""
    top = rng.uniform(-1e4, 1e4, n)
    x = (top - rng.uniform(0, 140 if dtype == np.float32 else 840, n)).astype(dtype)
    return x.astype(np.float64), np.rint(top * LOG2_E) - (
        HEADROOM_F32 if dtype == np.float32 else HEADROOM_F64
    )
