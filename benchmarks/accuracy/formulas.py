"""The losses and gradients of one row in wide arithmetic, with the size their errors count against.

Each formula fills ``out``, whose row 0 is the loss and row 1 + j the derivative by x_j: the number
as (high, low, n) of `wide`, and the exponent e of its size, 2^e <= size < 2^(e + 1). One ulp is
2^(e - 23) in float32. The size is the number itself, but where terms of both signs meet that carry
rounding errors of their own, and no float formula could give digits which its terms do not have:

- gradients for soft targets, differences of a prediction and a target: the larger of the two, or
  of 1 - p and 1 - t for a positive logit (for hard targets the number itself: one of the two is 0,
  or 1 - p is a sum of the others);
- gradients of binary crossentropy with smoothing and weights: the sum of the two terms;
- Poisson losses: the sum of the sizes of x and t log(x + eps); Kullback-Leibler losses: the sum of
  the sizes of the terms.

Gradients of binary crossentropy from probabilities and of Poisson are differences of *inputs*,
p - t and x + eps - t, which are exact: there the size is the number itself.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.elementwise import (
    bernoulli,
    bernoulli_changed,
    divergence,
    logistic,
    logistic_changed,
    poisson,
)
from benchmarks.accuracy.wide import (
    ONE,
    add,
    compiled,
    div,
    exp,
    exponent,
    get,
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
            put(out, 1 + c, e, 0)
            others = add(others, e)
            rest = add(rest, wide(t[c]))
        if t[c] != 0.0:
            gap = add(gap, mul(wide(t[c]), (-d, -d_low, 0)))
    total, weight = add(ONE, others), add(rest, wide(t[k]))
    value = add(gap, mul(weight, log1p(others)))
    put(out, 0, value, exponent(value))
    hard, factor = _hard(t), div(weight, total)
    for c in range(x.size):
        target = wide(t[c])
        if c != k:
            p = mul(factor, get(out, 1 + c))
            slope = add(p, minus(target))
        else:  # weight p_k - t_k = ((weight - t_k) - t_k others) / total
            p = factor
            slope = div(add(rest, minus(mul(target, others))), total)
        put(out, 1 + c, slope, size_of(hard, slope, p, target))
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
        value = add(value, mul(target, minus_log(share)))
    put(out, 0, value, exponent(value))
    hard = _hard(t)
    for c in range(x.size):
        share = div(wide(x[c]), total)
        q = share[0] * 2.0 ** max(share[2], -2000)
        own = div(wide(t[c]), share) if low <= q <= high and t[c] != 0.0 else wide(0.0)
        slope = div(add(passed, minus(own)), total)
        put(out, 1 + c, slope, size_of(hard, slope, div(passed, total), div(own, total)))
    return True


#: For each name in the table of cases.
FORMULAS: dict[str, Any] = {
    "sparse_logits": softmax,
    "dense_logits": softmax,
    "sparse_probabilities": probability,
    "dense_probabilities": probability,
    "binary_logits": logistic,
    "binary_probabilities": bernoulli,
    "binary_logits_changed": logistic_changed,
    "binary_probabilities_changed": bernoulli_changed,
    "poisson": poisson,
    "kl_divergence": divergence,
}
