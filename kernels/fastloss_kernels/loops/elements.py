"""The elements of an elementwise loss: their terms, slopes and factors.

Such a loss (Poisson, Kullback-Leibler, binary crossentropy) is one element function

    (x, t, (positive, negative), scaled, plain, low, high) -> (term, slope),  slope = d term / d x,

and a row's loss is the sum of its terms, or their mean. `positive` and `negative` are t and 1 - t,
smoothed towards 1/2, the first multiplied by a weight. They are `plain` if there is neither; else
`scaled` are both times the gradient's factor, rounded once, so that the slope need not be
multiplied by it (see `broadcast_row_factors` for the exceptions). `low` and `high` are the loss's
bounds, in the working dtype.
"""

from typing import Any, TypeAlias

import numpy as np
from fastloss_kernels.compiler.jit import block, called, interleaved_block
from fastloss_kernels.loops.targets import BinaryTargets
from fastloss_kernels.reductions.sum_rows import rounded_sum
from fastloss_kernels.simd.raw_arrays import copy, fill, stack_array
from fastloss_kernels.simd.scalar import EPS_F32, EPS_F64, fma, itemsize
from fastloss_kernels.typing import Array

DoubleWords: TypeAlias = tuple[Array, Array]


@block
def heaviest_target(weight: Array) -> float:
    """Return the largest weighted target there can be."""
    heaviest = 1.0
    for k in range(weight.size):
        heaviest = max(heaviest, weight[k])
    return heaviest


@called
def repeat_weights(weight: Array, first: int, target: Array) -> None:
    """Fill `target` with the weights of elements from number `first` on; they repeat."""
    k, start = 0, first % weight.size
    while k < target.size:
        n = min(target.size - k, weight.size - start)
        copy(weight[start : start + n], target[k : k + n])
        k, start = k + n, 0


@block
def _row_factors(
    scale: Array, rows: int, divisor: float, heaviest: float, early: DoubleWords, late: DoubleWords
) -> None:
    """Set one factor a row; see `broadcast_row_factors`."""
    kind = late[0].dtype.type
    single = itemsize(late[0]) == 4
    room, eps = (2.0**40, EPS_F32) if single else (2.0**400, EPS_F64)
    one, none = kind(1), kind(0)
    for r in range(rows):
        high = scale[r] / divisor
        low = fma(-high, divisor, scale[r]) / divisor
        first = kind(high * (1.0 - eps))
        rest = kind((high - first) + low) if abs(first) < np.inf else none
        before = 1 / room < abs(high) < room * room / heaviest
        early[0][r], early[1][r] = (first, rest) if before else (one, none)
        late[0][r], late[1][r] = (one, none) if before else (first, rest)


@called
def broadcast_row_factors(
    scale: Array, rows: int, divisor: float, heaviest: float, early: DoubleWords, late: DoubleWords
) -> None:
    """Set each element's factor, scale / divisor of its row, as a double-word number.

    Its high word lies nearer to 0, so that both have one sign, and overflow to one infinity.
    Targets of at most `heaviest` are multiplied `early`, if the row's factor leaves them room to
    the largest floats and to the smallest ones, else slopes are `late`; the other factor is 1. That
    depends on nothing but the row's own factor.
    """
    width = late[0].size // rows
    if width == 1:
        _row_factors(scale, rows, divisor, heaviest, early, late)
        return
    kind = late[0].dtype
    own = (stack_array(kind), stack_array(kind)), (stack_array(kind), stack_array(kind))
    _row_factors(scale, rows, divisor, heaviest, own[0], own[1])
    for r in range(rows):
        row = slice(r * width, (r + 1) * width)
        fill(early[0][row], own[0][0][r])
        fill(early[1][row], own[0][1][r])
        fill(late[0][row], own[1][0][r])
        fill(late[1][row], own[1][1][r])


@interleaved_block
def write_elements(
    element: Any,
    plain: bool,
    x: Array,
    targets: BinaryTargets,
    factor: DoubleWords,
    bounds: Any,
    out: tuple[Array, Array],
    grad: Array | None,
) -> None:
    """Set ``out = (terms, slopes)`` of elements x, the slopes times `factor`.

    Without a gradient slopes are not set. If targets are `plain` only the first array is read.
    """
    t, positive, negative, scaled_positive, scaled_negative = targets
    (f, rest), (low, high), (terms, slopes) = factor, bounds, out
    one, none, infinity = terms.dtype.type(1), terms.dtype.type(0), terms.dtype.type(np.inf)
    if grad is not None:
        for e in range(x.size):
            u = one - t[e]
            own = (t[e], u) if plain else (positive[e], negative[e])
            scaled = (t[e], u) if plain else (scaled_positive[e], scaled_negative[e])
            terms[e], slope = element(x[e], t[e], own, scaled, plain, low, high)
            # The low word of a subnormal factor is 0, and infinity times 0 is NaN.
            more = slope * rest[e] if abs(slope) < infinity else none
            slopes[e] = fma(slope, f[e], more)
    else:
        for e in range(x.size):
            own = (t[e], one - t[e]) if plain else (positive[e], negative[e])
            terms[e], _ = element(x[e], t[e], own, own, plain, low, high)


@block
def divide_sums(total: Array, lost: Array, divisor: float, loss: Array) -> None:
    """Set the losses of some rows to the sums of their terms over the divisor."""
    for r in range(loss.size):
        loss[r] = loss.dtype.type(rounded_sum(total[r], lost[r]) / divisor)
