"""What is done with the elements of a loss whose elements do not meet.

Every such loss is one element function

    (x, t, answer, scaled, plain, low, high) -> (term, slope),   slope = d term / d x,

and a row's loss is the sum of its terms over a divisor. An `answer` is t and 1 - t, smoothed
towards 1/2, the first multiplied with a weight. It is `plain` if there is neither; else `scaled` is
the answer times the gradient's factor, rounded once, so that the slope needs not be multiplied,
unless that is out of the common (see `spread`).
"""

from typing import Any, TypeAlias

import numpy as np

from fastloss_kernels.blocks import fill
from fastloss_kernels.intrinsics import fma
from fastloss_kernels.jit import block, generic
from fastloss_kernels.rowsums import whole_sum
from fastloss_kernels.typing import Array, Scalar

Both: TypeAlias = tuple[Array, Array]


@block
def heaviest_answer(weight: Array, plain: bool) -> float:
    """Return the largest answer there can be; if plain, infinity: none is to be scaled early."""
    heaviest = np.inf if plain else 1.0
    for k in range(weight.size):
        heaviest = max(heaviest, weight[k])
    return heaviest


@block
def spread(
    values: Array,
    rows: int,
    divisor: float,
    heaviest: float,
    early: tuple[Array, Array],
    late: tuple[Array, Array],
) -> None:
    """Repeat each row's factor, value / divisor, over its elements: a float and what it lacks.

    The float lies nearer to 0, so that both have one sign, and overflow to one infinity. Answers of
    at most `heaviest` are multiplied `early`, if the row's factor leaves them room to the largest
    floats and to the smallest ones, else slopes are `late`; the other factor is 1. That depends on
    nothing but the row's own factor.
    """
    kind = late[0].dtype.type
    width = late[0].size // rows
    room = 2.0**40 if late[0].itemsize == 4 else 2.0**400
    for r in range(rows):
        high = values[r] / divisor
        low = fma(-high, divisor, values[r]) / divisor
        first = kind(high * (1.0 - np.finfo(late[0].dtype).eps))
        rest = kind((high - first) + low) if abs(first) < np.inf else kind(0)
        before = 1 / room < abs(high) < room * room / heaviest
        row = slice(r * width, (r + 1) * width)
        fill(early[0][row], first if before else kind(1))
        fill(early[1][row], rest if before else kind(0))
        fill(late[0][row], kind(1) if before else first)
        fill(late[1][row], kind(0) if before else rest)


@block
def repeat(weight: Array, weights: Array, width: int) -> None:
    """Repeat the weights of `width` classes, 1 where none are given, over a block's elements."""
    fill(weights, 1.0)
    if weight.size:
        for k in range(weights.size):
            weights[k] = weight[k % width]


@generic
def write_elements(
    element: Any,
    plain: bool,
    fused: bool,
    n: int,
    x: Array,
    t: Array,
    answer: Both,
    scaled: Both,
    factor: Both,
    bounds: tuple[Scalar, Scalar],
    terms: Array,
    slopes: Array,
) -> None:
    """Set the `terms` of n elements and, if `fused`, their `slopes` times `factor`.

    If it is plain the answers are not looked at: their places are taken by any arrays.
    """
    (yes, no), (yes_scaled, no_scaled), (f, rest), (low, high) = answer, scaled, factor, bounds
    one, none, infinity = terms.dtype.type(1), terms.dtype.type(0), terms.dtype.type(np.inf)
    if fused:
        for e in range(n):
            u = one - t[e]
            own = (t[e], u) if plain else (yes[e], no[e])
            own_scaled = (t[e], u) if plain else (yes_scaled[e], no_scaled[e])
            terms[e], slope = element(x[e], t[e], own, own_scaled, plain, low, high)
            # The rest of a subnormal factor is 0, and infinity times 0 is NaN.
            more = slope * rest[e] if abs(slope) < infinity else none
            slopes[e] = fma(slope, f[e], more)
    else:
        for e in range(n):
            own = (t[e], one - t[e]) if plain else (yes[e], no[e])
            terms[e], _ = element(x[e], t[e], own, own, plain, low, high)


@block
def divide_sums(total: Array, lost: Array, divisor: float, loss: Array) -> None:
    """Set the losses of some rows to the sums of their terms over the divisor."""
    for r in range(loss.size):
        loss[r] = loss.dtype.type(whole_sum(total[r], lost[r]) / divisor)
