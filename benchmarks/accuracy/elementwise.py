"""Formulas of the losses whose elements do not meet, in wide arithmetic: see `formulas`."""

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.cases import SMOOTHING, WEIGHT
from benchmarks.accuracy.wide import (
    ONE,
    Wide,
    add,
    compiled,
    div,
    exp,
    exponent,
    log1p,
    minus,
    minus_log,
    mul,
    put,
    size_of,
    two_sum,
    wide,
)

Array = NDArray[np.float64]


@compiled
def _answer(t: float, smoothing: float, weight: float) -> tuple[Wide, Wide]:
    """Return w t' and 1 - t' of the smoothed target t' = t (1 - s) + s / 2."""
    keep, rise = add(ONE, wide(-smoothing)), wide(smoothing / 2)
    yes = add(mul(wide(t), keep), rise)
    no = add(mul(add(ONE, wide(-t)), keep), rise)
    return mul(wide(weight), yes), no


@compiled
def _logistic(t: Array, x: Array, smoothing: float, weight: float, out: Array) -> bool:
    count, value = wide(float(x.size)), wide(0.0)
    for c in range(x.size):
        yes, no = _answer(t[c], smoothing, weight)
        e = exp(wide(-abs(x[c])))
        small = log1p(e)
        large = add(wide(abs(x[c])), small)
        p, q = div(ONE, add(ONE, e)), div(e, add(ONE, e))
        if x[c] < 0.0:
            small, large, p, q = large, small, q, p
        # now `small` = softplus(-x), `large` = softplus(x), p = sigma(x), q = sigma(-x)
        value = add(value, add(mul(yes, small), mul(no, large)))
        mine, yours = mul(no, p), mul(yes, q)
        slope = div(add(mine, minus(yours)), count)
        if smoothing != 0.0 or weight != 1.0:
            size = exponent(div(add(mine, yours), count))
        else:  # p - t, or (1 - t) - (1 - p)
            mine, yours = (p, yes) if x[c] < 0.0 else (q, no)
            hard = t[c] == 0.0 or t[c] == 1.0
            size = size_of(hard, slope, div(mine, count), div(yours, count))
        put(out, 1 + c, slope, size)
    value = div(value, count)
    put(out, 0, value, exponent(value))
    return True


@compiled
def logistic(t: Array, x: Array, low: float, high: float, ulp: float, out: Array) -> bool:
    """mean(t softplus(-x) + (1 - t) softplus(x)), softplus(x) = log(1 + e^x)."""
    return _logistic(t, x, 0.0, 1.0, out)


@compiled
def logistic_changed(t: Array, x: Array, low: float, high: float, ulp: float, out: Array) -> bool:
    """mean(w t' softplus(-x) + (1 - t') softplus(x)), t' = t (1 - s) + s / 2."""
    return _logistic(t, x, SMOOTHING, WEIGHT, out)


@compiled
def _bernoulli(
    t: Array, x: Array, low: float, high: float, smoothing: float, weight: float, out: Array
) -> bool:
    count, value = wide(float(x.size)), wide(0.0)
    for c in range(x.size):
        yes, no = _answer(t[c], smoothing, weight)
        p = wide(min(max(x[c], low), high))
        q = add(ONE, minus(p))
        value = add(value, add(mul(yes, minus_log(p)), mul(no, minus_log(q))))
        changed = smoothing != 0.0 or weight != 1.0
        slope, size = wide(0.0), wide(0.0)
        if low <= x[c] <= high:
            mine, yours, unit = mul(no, p), mul(yes, q), mul(mul(p, q), count)
            # no p - yes q is p - yes for plain targets, where nothing of 30 digits may be lost
            difference = add(mine, minus(yours)) if changed else add(p, minus(yes))
            slope, size = div(difference, unit), div(add(mine, yours), unit)
        put(out, 1 + c, slope, exponent(size if changed else slope))
    value = div(value, count)
    put(out, 0, value, exponent(value))
    return True


@compiled
def bernoulli(t: Array, x: Array, low: float, high: float, ulp: float, out: Array) -> bool:
    """mean(-t log p - (1 - t) log(1 - p)), p = clip(x)."""
    return _bernoulli(t, x, low, high, 0.0, 1.0, out)


@compiled
def bernoulli_changed(t: Array, x: Array, low: float, high: float, ulp: float, out: Array) -> bool:
    """mean(-w t' log p - (1 - t') log(1 - p)), t' = t (1 - s) + s / 2, p = clip(x)."""
    return _bernoulli(t, x, low, high, SMOOTHING, WEIGHT, out)


@compiled
def poisson(t: Array, x: Array, low: float, high: float, ulp: float, out: Array) -> bool:
    """mean(x - t log(x + low)); x + low > 0."""
    count, value, size = wide(float(x.size)), wide(0.0), wide(0.0)
    for c in range(x.size):
        target, rate, z = wide(t[c]), wide(x[c]), add(wide(x[c]), wide(low))
        term = mul(target, minus_log(z))
        value = add(add(value, rate), term)
        size = add(add(size, (abs(rate[0]), 0.0, rate[2])), (abs(term[0]), 0.0, term[2]))
        slope = div(div(add(z, minus(target)), z), count)
        put(out, 1 + c, slope, exponent(slope))
    put(out, 0, div(value, count), exponent(div(size, count)))
    return True


@compiled
def divergence(t: Array, x: Array, low: float, high: float, ulp: float, out: Array) -> bool:
    """sum(u log(u / p)), both clipped to [low, 1]."""
    value, size = wide(0.0), wide(0.0)
    for c in range(x.size):
        u, p = min(max(t[c], low), 1.0), min(max(x[c], low), 1.0)
        # u / p = 1 + (u - p) / p, which keeps its digits near 1
        difference, rest = two_sum(u, -p)
        term = mul(wide(u), log1p(div((difference, rest, 0), wide(p))))
        value = add(value, term)
        size = add(size, (abs(term[0]), 0.0, term[2]))
        slope = minus(div(wide(u), wide(p))) if low <= x[c] <= 1.0 else wide(0.0)
        put(out, 1 + c, slope, exponent(slope))
    put(out, 0, value, exponent(size))
    return True
