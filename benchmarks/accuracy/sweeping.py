"""The search for the largest error of an elementary function: over all inputs, or climbing."""

import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from typing import Any

import numpy as np
from mpmath import mp, mpf
from numpy.typing import NDArray

from benchmarks.accuracy.arguments import Rng
from benchmarks.accuracy.elementary import Function
from benchmarks.accuracy.found import Found
from benchmarks.accuracy.wide import compiled, exponent

Array = NDArray[Any]
#: ``(x, y) -> result``, for arrays of one dtype.
Compute = Callable[[Array, Array], Array]

WORKERS = os.cpu_count() or 1
CHUNK = 2**16  # inputs at a time: all arrays of a chunk stay in the cache
#: Climbing: from so many of the worst inputs, so many steps of so many neighbours.
CLIMBERS, STEPS, NEIGHBOURS = 32, 100, 64
#: What mpmath computes with, and how far in ulps its answer may be from ours.
DIGITS, AGREEMENT = 60, 1e-3


def engine(function: Function) -> Compute:
    """Return the function of the engine, from arrays to a new array."""

    def compute(x: Array, y: Array) -> Array:
        out = np.empty_like(x)
        function.engine(x, y, out)
        return out

    return compute


#: From here on a number rounds to infinity in float32.
OVERFLOW = float(np.finfo(np.float32).max) * (1 + 2.0**-25)
EPS, TINY, SMALLEST = 2.0**-23, 2.0**-126, 2.0**-149  # of float32


@compiled
def _largest(got: Array, right: Array, powers: Array) -> tuple[int, float, float, int, int]:
    """Return (where, largest error, that of subnormal results, number wrong, the first of them).

    `powers` are the largest powers of two that are not above abs(right).
    """
    at, largest, subnormal, wrong, first = 0, -1.0, 0.0, 0, -1
    for i in range(got.size):
        g, r = np.float64(got[i]), right[i]
        if r != r or abs(r) >= OVERFLOW or r == 0.0:  # must come out as it is
            r = r if abs(r) < OVERFLOW or r != r else math.copysign(math.inf, r)
            if g != r and not (g != g and r != r):
                wrong += 1
                first = i if first < 0 else first
        elif not math.isfinite(g):
            wrong += 1
            first = i if first < 0 else first
        elif powers[i] >= TINY:
            error = abs(g - r) / (powers[i] * EPS)
            if error > largest:
                at, largest = i, error
        else:
            subnormal = max(subnormal, abs(g - r) / SMALLEST)
    return at, largest, subnormal, wrong, first


def judge(x: Array, y: Array, got: Array, right: Array) -> Found:
    """Return the largest error of float32 results, by float64 numbers that are nearly right."""
    powers = (right.view(np.int64) & 0x7FF0000000000000).view(np.float64)  # the exponent alone
    at, ulps, subnormal, wrong, first = _largest(got, right, powers)
    place = (float(x[at]), float(y[at]), float(got[at]))
    return Found(x.size, ulps, *place, subnormal, wrong, float(x[first]) if wrong else 0.0)


def patterns(low: float, high: float) -> Iterator[range]:
    """Yield the bit patterns of the float32 numbers from low to high; all, if that is the line."""
    sign = 2**31
    if low == -math.inf and high == math.inf:  # NaN too
        yield range(2**32)
        return
    if high >= 0:
        yield range(_bits(max(low, 0.0)), _bits(high) + 1)
    if low < 0:
        yield range(sign + _bits(max(-high, 0.0)), sign + _bits(-low) + 1)


def _bits(x: float) -> int:
    return int(np.float32(x).view(np.uint32))


def sweep(function: Function, computes: list[Compute], every: int = 1) -> list[Found]:
    """Return the largest errors over the float32 domain, one for each of `computes`.

    Parameters
    ----------
    function : Function
        One with a `second`.
    computes : list of callables
        What to judge; they get the same inputs.
    every : int
        1 takes every number, n one of n chunks of neighbouring numbers.
    """
    assert function.second is not None
    second = function.second
    spans = [
        range(start, min(start + CHUNK, pattern.stop))
        for pattern in patterns(*function.domain["float32"])
        for start in range(pattern.start, pattern.stop, CHUNK * every)
    ]

    @np.errstate(all="ignore")
    def part(span: range) -> list[Found]:
        x = np.arange(span.start, span.stop, dtype=np.uint32).view(np.float32)
        y = second(x)
        right = function.nearly(x.astype(np.float64), y.astype(np.float64))
        return [judge(x, y, compute(x, y), right) for compute in computes]

    def worst(spans: list[range]) -> list[Found]:
        found = [Found()] * len(computes)
        for span in spans:
            found = [a.join(b) for a, b in zip(found, part(span), strict=True)]
        return found

    with ThreadPoolExecutor(WORKERS) as pool:
        parts = pool.map(worst, [spans[worker::WORKERS] for worker in range(WORKERS)])
        return [reduce(Found.join, column) for column in zip(*parts, strict=True)]


@compiled
def _errors(
    right: Any, x: Array, y: Array, got: Array, kind: tuple[int, int, int], errors: Array
) -> None:
    """Write the errors in ulps of a type with so many digits and such exponents; 0 out of range."""
    digits, lowest, highest = kind
    for i in range(x.size):
        r = right(x[i], y[i])
        size = exponent(r)
        if not math.isfinite(r[0]) or size >= highest:
            errors[i] = 0.0
        elif not math.isfinite(got[i]):
            errors[i] = math.inf
        else:
            error = abs((math.ldexp(got[i], -r[2]) - r[0]) - r[1])
            errors[i] = math.ldexp(error, r[2] - (max(size, lowest) - digits + 1))


def search(function: Function, dtype: str, inputs: int, rng: Rng) -> Found:
    """Return the largest error over inputs drawn near hard places, and uphill from there."""
    share = max(1, inputs // WORKERS)
    with ThreadPoolExecutor(WORKERS) as pool:
        parts = pool.map(lambda rng: _climb(function, dtype, share, rng), rng.spawn(WORKERS))
        return reduce(Found.join, parts, _specials(function, np.dtype(dtype)))


def _climb(function: Function, dtype: str, inputs: int, rng: Rng) -> Found:
    kind = np.dtype(dtype)
    bits = np.dtype(f"i{kind.itemsize}")
    low, high = (kind.type(end) for end in function.domain[dtype])
    x, y, found = np.empty(0, kind), np.empty(0, kind), Found()
    for _ in range(math.ceil(inputs / CHUNK)):
        new_x, new_y = (values.astype(kind) for values in function.draw(rng, CHUNK, kind.type))
        new_x = np.clip(new_x, low, high)
        if function.second:
            new_y = function.second(new_x)
        x, y, found = _worst(function, np.append(x, new_x), np.append(y, new_y), found)
    for _ in range(STEPS):
        x, y = np.repeat(x, NEIGHBOURS), np.repeat(y, NEIGHBOURS)
        steps = np.exp2(rng.uniform(0, 5 * kind.itemsize, x.size)) * rng.choice([-1, 1], x.size)
        steps[::NEIGHBOURS] = 0  # the best themselves stay
        moved = (x.view(bits) + steps.astype(bits)).view(kind)
        inside = np.isfinite(moved) & (moved >= low) & (moved <= high)
        x = np.where(inside, moved, x)
        x, y, found = _worst(function, x, function.second(x) if function.second else y, found)
    return found


def _worst(function: Function, x: Array, y: Array, found: Found) -> tuple[Array, Array, Found]:
    """Return the inputs with the largest errors, and `found` joined with the largest."""
    got = engine(function)(x, y)
    info, errors = np.finfo(x.dtype), np.empty(x.size)
    wider = (values.astype(np.float64) for values in (x, y, got))
    _errors(function.right, *wider, (info.nmant + 1, info.minexp, info.maxexp), errors)
    order = np.argsort(errors)[-CLIMBERS:]
    at = order[-1]
    new = Found(x.size, float(errors[at]), float(x[at]), float(y[at]), float(got[at]))
    return x[order], y[order], found.join(new)


@np.errstate(all="ignore")
def _specials(function: Function, kind: np.dtype[Any]) -> Found:
    """Return how many of the arguments where functions end or begin give what they must not."""
    if function.second is None or function.domain[kind.name] != (-math.inf, math.inf):
        return Found()
    info = np.finfo(kind)
    values = [0.0, -0.0, 1.0, -1.0, -2.0, info.max, info.min, math.inf, -math.inf, math.nan]
    x = np.array([*values, -info.tiny, -info.smallest_subnormal], kind)
    got, right = engine(function)(x, x), function.nearly(x, x)
    special = ~np.isfinite(right) | (right == 0)
    same = (got == right) | (np.isnan(got) & np.isnan(right))
    wrong = np.flatnonzero(special & ~same)
    return Found(x.size, wrong=wrong.size, wrong_x=float(x[wrong[0]]) if wrong.size else 0.0)


def judge_again(function: Function, dtype: str, found: Found) -> None:
    """Compute the error that was found with mpmath; raise if it is another one."""
    info = np.finfo(dtype)
    with mp.workdps(DIGITS):
        right = function.exact(mpf(found.x), mpf(found.y))
        size = max(mp.frexp(abs(right))[1] - 1, info.minexp) if right else info.minexp
        ulps = float(abs(mpf(found.got) - right) / mpf(2) ** int(size - info.nmant))
    if not (ulps == found.ulps or abs(ulps - found.ulps) <= AGREEMENT * max(1.0, ulps)):
        raise RuntimeError(f"mpmath says {ulps:.5f} ulp for {function.name}, {dtype}, not {found}")
