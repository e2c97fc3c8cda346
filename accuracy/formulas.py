"""The losses and gradients of one row in wide arithmetic, with the size their errors count against.

Each formula fills ``out``, whose row 0 is the loss and row 1 + j the derivative by x_j: the number
as (high, low, n) of `wide`, and the exponent e of its size, 2^e <= size < 2^(e + 1). One ulp is
2^(e - 23) in float32. The size is the number itself, but where terms of both signs meet that carry
rounding errors of their own, and no float formula could give digits which its terms do not have:

- gradients for soft targets, differences of a prediction and a target: the larger of the two, or
  of 1 - p and 1 - t for a positive logit (for hard targets the number itself: one of the two is 0,
  or 1 - p is a sum of the others);
- Poisson losses: the sum of the sizes of x and t log(x + eps); Kullback-Leibler losses: the sum of
  the sizes of the terms.

Gradients of binary crossentropy from probabilities and of Poisson are differences of *inputs*,
p - t and x + eps - t, which are exact: there the size is the number itself.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accuracy.wide import (
    Wide,
    add,
    compiled,
    div,
    exp,
    exponent,
    log,
    log1p,
    minus,
    mul,
    two_sum,
    wide,
)

Array = NDArray[np.float64]
ONE: Wide = (1.0, 0.0, 0)


@compiled
def _put(out: Array, k: int, value: Wide, size: int) -> None:
    out[k, 0], out[k, 1], out[k, 2], out[k, 3] = value[0], value[1], value[2], size


@compiled
def _get(out: Array, k: int) -> Wide:
    return out[k, 0], out[k, 1], int(out[k, 2])


@compiled
def _minus_log(p: Wide) -> Wide:
    return minus(log(p))


@compiled
def _size(hard: bool, value: Wide, a: Wide, b: Wide) -> int:
    return exponent(value) if hard else max(exponent(a), exponent(b))


@compiled
def _hard(t: Array) -> bool:
    """Return whether the targets are one-hot."""
    chosen = 0
    for target in t:
        if target != 0.0:
            chosen += 1 if target == 1.0 else 2
    return chosen == 1


@compiled
def softmax(t: Array, x: Array, low: float, high: float, ulp: float, out: Array) -> bool:
    """-sum_c t_c log softmax_c, t >= 0, with k the largest logit.

    log(sum e^x) - x_c = (x_k - x_c) + log1p(sum_{c != k} e^(x_c - x_k)), all terms >= 0.
    """
    k = np.argmax(x)
    others, rest, gap = wide(0.0), wide(0.0), wide(0.0)
    for c in range(x.size):
        d, d_low = two_sum(x[c], -x[k])
        if c != k:
            e = exp((d, d_low, 0))
            _put(out, 1 + c, e, 0)
            others = add(others, e)
            rest = add(rest, wide(t[c]))
        if t[c] != 0.0:
            gap = add(gap, mul(wide(t[c]), (-d, -d_low, 0)))
    total, weight = add(ONE, others), add(rest, wide(t[k]))
    value = add(gap, mul(weight, log1p(others)))
    _put(out, 0, value, exponent(value))
    hard, factor = _hard(t), div(weight, total)
    for c in range(x.size):
        target = wide(t[c])
        if c != k:
            p = mul(factor, _get(out, 1 + c))
            slope = add(p, minus(target))
        else:  # weight p_k - t_k = ((weight - t_k) - t_k others) / total
            p = factor
            slope = div(add(rest, minus(mul(target, others))), total)
        _put(out, 1 + c, slope, _size(hard, slope, p, target))
    return True


@compiled
def probability(t: Array, x: Array, low: float, high: float, ulp: float, out: Array) -> bool:
    """-sum_c t_c log clip(x_c / sum x), t >= 0, x >= 0.

    The share is rounded to the dtype before it is clipped. Where it lies so near a bound that its
    rounding decides, both answers are right and False is returned.
    """
    total = wide(0.0)
    for c in range(x.size):
        total = add(total, wide(x[c]))
    value, passed = wide(0.0), wide(0.0)
    for c in range(x.size):
        target, share = wide(t[c]), div(wide(x[c]), total)
        q = share[0] * 2.0 ** max(share[2], -2000)
        if t[c] != 0.0 and (abs(q / low - 1) <= 1.5 * ulp or abs(q - high) <= 0.75 * ulp):
            return False
        if low <= q <= high:
            passed = add(passed, target)
        else:
            share = wide(low if q < low else high)
        value = add(value, mul(target, _minus_log(share)))
    _put(out, 0, value, exponent(value))
    hard = _hard(t)
    for c in range(x.size):
        share = div(wide(x[c]), total)
        q = share[0] * 2.0 ** max(share[2], -2000)
        own = div(wide(t[c]), share) if low <= q <= high and t[c] != 0.0 else wide(0.0)
        slope = div(add(passed, minus(own)), total)
        _put(out, 1 + c, slope, _size(hard, slope, div(passed, total), div(own, total)))
    return True


@compiled
def logistic(t: Array, x: Array, low: float, high: float, ulp: float, out: Array) -> bool:
    """mean(t softplus(-x) + (1 - t) softplus(x)), softplus(x) = log(1 + e^x)."""
    count, value = wide(float(x.size)), wide(0.0)
    for c in range(x.size):
        yes, no = wide(t[c]), add(ONE, wide(-t[c]))
        e = exp(wide(-abs(x[c])))
        small = log1p(e)
        large = add(wide(abs(x[c])), small)
        p, q = div(ONE, add(ONE, e)), div(e, add(ONE, e))
        if x[c] < 0.0:
            small, large, p, q = large, small, q, p
        # now `small` = softplus(-x), `large` = softplus(x), p = sigma(x), q = sigma(-x)
        value = add(value, add(mul(yes, small), mul(no, large)))
        slope = div(add(mul(no, p), minus(mul(yes, q))), count)
        hard = t[c] == 0.0 or t[c] == 1.0
        mine, yours = (p, yes) if x[c] < 0.0 else (q, no)  # sigma(x) - t = (1 - t) - sigma(-x)
        _put(out, 1 + c, slope, _size(hard, slope, div(mine, count), div(yours, count)))
    value = div(value, count)
    _put(out, 0, value, exponent(value))
    return True


@compiled
def bernoulli(t: Array, x: Array, low: float, high: float, ulp: float, out: Array) -> bool:
    """mean(-t log p - (1 - t) log(1 - p)), p = clip(x)."""
    count, value = wide(float(x.size)), wide(0.0)
    for c in range(x.size):
        yes, no = wide(t[c]), add(ONE, wide(-t[c]))
        p = wide(min(max(x[c], low), high))
        q = add(ONE, minus(p))
        value = add(value, add(mul(yes, _minus_log(p)), mul(no, _minus_log(q))))
        slope = wide(0.0)
        if low <= x[c] <= high:
            slope = div(div(add(p, minus(yes)), mul(p, q)), count)
        _put(out, 1 + c, slope, exponent(slope))
    value = div(value, count)
    _put(out, 0, value, exponent(value))
    return True


@compiled
def poisson(t: Array, x: Array, low: float, high: float, ulp: float, out: Array) -> bool:
    """mean(x - t log(x + low)); x + low > 0."""
    count, value, size = wide(float(x.size)), wide(0.0), wide(0.0)
    for c in range(x.size):
        target, rate, z = wide(t[c]), wide(x[c]), add(wide(x[c]), wide(low))
        term = mul(target, _minus_log(z))
        value = add(add(value, rate), term)
        size = add(add(size, (abs(rate[0]), 0.0, rate[2])), (abs(term[0]), 0.0, term[2]))
        slope = div(div(add(z, minus(target)), z), count)
        _put(out, 1 + c, slope, exponent(slope))
    _put(out, 0, div(value, count), exponent(div(size, count)))
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
        _put(out, 1 + c, slope, exponent(slope))
    _put(out, 0, value, exponent(size))
    return True


#: For each name in the table of cases.
FORMULAS: dict[str, Any] = {
    "sparse_logits": softmax,
    "dense_logits": softmax,
    "sparse_probabilities": probability,
    "dense_probabilities": probability,
    "binary_logits": logistic,
    "binary_probabilities": bernoulli,
    "poisson": poisson,
    "kl_divergence": divergence,
}
