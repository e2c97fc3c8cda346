"""The table of the engine's elementary functions: what is right, and where to look for errors.

To judge a new function, add an entry to FUNCTIONS.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from fastloss_kernels.elementary.exp import exp, exp_in_range, exp_nonpositive, exp_scaled
from fastloss_kernels.elementary.log import log, log1p, log1p_01, log_double_word, log_normal
from fastloss_kernels.elementary.log_ratio import log_reduced, nearest_binade
from fastloss_kernels.reductions.exp_rows import HEADROOM_F32
from mpmath import mp, mpf

from benchmarks.accuracy import wide
from benchmarks.accuracy.arguments import (
    LOG2_E,
    Array,
    Pair,
    Rng,
    around_0,
    around_breaks,
    around_powers,
    below_0,
    from_0_to_1,
    logits,
    probabilities,
    rounded_pairs,
)

Draw = Callable[[Rng, int, Any], Array]
Interval = tuple[float, float]

GOAL = 1.0  # ulp
PAIR_GOAL = 2.0  # where the argument, a sum or a quotient, has more digits than its type
LN2_HIGH, LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10  # 32 bits, and the rest


@dataclass(frozen=True)
class Function:
    """A function of one number x, or of two, x and y.

    Attributes
    ----------
    name : str
        As it is printed.
    engine : callable
        Compiled ``(x, y, out)`` over arrays: the function of the engine.
    right : callable
        Compiled ``(x, y)``, two numbers, in wide arithmetic.
    exact : callable
        ``(x, y)``, two numbers of mpmath.
    nearly : callable
        ``(x, y)`` on float64 arrays, right to a few ulps of float64: judges float32.
    domain : mapping of str to (low, high)
        Of x, by dtype. All of the line includes infinities and NaN.
    draw : callable
        ``(rng, n, dtype)``: n pairs of the domain where the function may be inexact, in float64.
    second : callable or None
        ``x -> y`` for a sweep over all x; None where y is an input of its own and no sweep over x
        could cover it.
    peer : str
        The name of the same function in NumPy, torch and JAX, if any.
    goal : float
        The largest error there may be, in ulp.
    """

    name: str
    engine: Any
    right: Any
    exact: Callable[[mpf, mpf], mpf]
    nearly: Callable[[Array, Array], Array]
    domain: Mapping[str, Interval]
    draw: Callable[[Rng, int, Any], Pair]
    second: Callable[[Array], Array] | None = None
    peer: str = ""
    goal: float = GOAL


def of_one(
    name: str,
    function: Any,
    right: Any,
    exact: Callable[[mpf], mpf],
    nearly: Callable[[Array], Array],
    draw: Draw,
    single: Interval = (-math.inf, math.inf),
    double: Interval = (-math.inf, math.inf),
    peer: str = "",
) -> Function:
    """Return the entry of a function of x alone, with its domain in float32 and float64."""

    @wide.compiled
    def engine(x: Array, y: Array, out: Array) -> None:
        for i in range(x.size):
            out[i] = function(x[i])

    @wide.compiled
    def right_of_one(x: float, y: float) -> wide.Wide:
        return right(wide.wide(x))

    def twice(rng: Rng, n: int, dtype: Any) -> Pair:
        x = draw(rng, n, dtype)
        return x, x

    domain = {"float32": single, "float64": double}
    return Function(
        name,
        engine,
        right_of_one,
        lambda x, y: exact(x),
        lambda x, y: nearly(x),
        domain,
        twice,
        _same,
        peer,
    )


def _same(x: Array) -> Array:
    return x


@wide.compiled
def _pair(x: Array, y: Array, out: Array) -> None:
    for i in range(x.size):
        out[i] = log_double_word(x[i], y[i])


@wide.compiled
def _right_pair(x: float, y: float) -> wide.Wide:
    return wide.log(wide.add(wide.wide(x), wide.wide(y)))


@wide.compiled
def _quotient(x: Array, y: Array, out: Array) -> None:
    for i in range(x.size):
        near, e = nearest_binade(x[i], y[i])
        out[i] = log_reduced((near - y[i]) / y[i], e, x[i] - x[i])


@wide.compiled
def _right_quotient(x: float, y: float) -> wide.Wide:
    return wide.log(wide.div(wide.wide(x), wide.wide(y)))


@wide.compiled
def _scaled(x: Array, y: Array, out: Array) -> None:
    for i in range(x.size):
        out[i] = exp_scaled(x[i], int(y[i]))


@wide.compiled
def _right_scaled(x: float, y: float) -> wide.Wide:
    high, low, n = wide.exp(wide.wide(x))
    return high, low, n - int(y)


def _exact_scaled(x: mpf, y: mpf) -> mpf:
    return mp.exp(x) / mpf(2) ** int(y)


def _nearly_scaled(x: Array, y: Array) -> Array:
    return np.exp((x - y * LN2_HIGH) - y * LN2_LOW)


def _own_power(x: Array) -> Array:
    """Return the K of the kernels for x as the largest logit."""
    return np.rint(x * LOG2_E) - HEADROOM_F32


LINE = {"float32": (-math.inf, math.inf), "float64": (-math.inf, math.inf)}
SCALED = {"float32": (-(2.0**16), 2.0**16), "float64": (-(2.0**40), 2.0**40)}
FUNCTIONS = (
    of_one("exp(x)", exp, wide.exp, mp.exp, np.exp, around_breaks, peer="exp"),
    of_one("exp_in_range(x)", exp_in_range, wide.exp, mp.exp, np.exp, around_breaks,
           (-87, 87), (-708, 708)),
    of_one("exp_nonpositive(x)", exp_nonpositive, wide.exp, mp.exp, np.exp, below_0,
           (-math.inf, 0), (-math.inf, 0)),
    Function("exp_scaled(x, K of x)", _scaled, _right_scaled, _exact_scaled, _nearly_scaled,
             SCALED, logits, _own_power),
    Function("exp_scaled(x, K)", _scaled, _right_scaled, _exact_scaled, _nearly_scaled,
             SCALED, logits),
    of_one("log(x)", log, wide.log, mp.log, np.log, around_powers, peer="log"),
    of_one("log1p(x)", log1p, wide.log1p, mp.log1p, np.log1p, around_0, peer="log1p"),
    of_one("log1p_01(x)", log1p_01, wide.log1p, mp.log1p, np.log1p, from_0_to_1,
           (0, 1), (0, 1)),
    Function("log_double_word(u, c)", _pair, _right_pair, lambda u, c: mp.log(u + c),
             lambda u, c: np.log1p((u - 1) + c), LINE, rounded_pairs, goal=PAIR_GOAL),
    Function("log(u / p)", _quotient, _right_quotient, lambda u, p: mp.log(u / p),
             lambda u, p: np.where(np.abs(u - p) < 0.3 * p, np.log1p((u - p) / p), np.log(u / p)),
             LINE, probabilities, goal=PAIR_GOAL),
    of_one("log_normal(x)", log_normal, wide.log, mp.log, np.log, around_powers,
           (2.0**-126, 3.4e38), (2.0**-1022, 1.7e308)),
)  # fmt: skip
