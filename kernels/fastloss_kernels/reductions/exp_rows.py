"""Class labels: checked before anything is read with them.

Rows of logits -> rows of e^x 2^-K, with the power K that keeps every digit of ``x - max``.

Subtracting the largest logit would round: for x = 0.1 and a maximum of 50 the difference has lost
32 ulp of e^(x - 50). Instead n of e^x = 2^n e^r is lowered by a whole number K. Where all |x| of a
block are below 51 (float32) or 340 (float64; see `small_magnitude`), e^x and its products with the
row's factor stay normal without any K: K = 0 and no row's maximum is needed. Otherwise K puts the
row's largest element near 2^56 (2^200), so that an element is a normal number itself wherever its
probability times a scale of up to 2^56 (2^200) is one.

Whether a block's logits are small comes out of the same pass as their exponentials: where they turn
out not to be, the pass is made again, with every row's K. In place the logits would be gone by
then, so there a pass that only looks comes first.
"""

from typing import Any

import numpy as np
from fastloss_kernels import tuning
from fastloss_kernels.compiler.jit import block
from fastloss_kernels.elementary.exp import exp_bounded, exp_scaled
from fastloss_kernels.memory.streaming import Ahead, Traffic, fetch_next, send
from fastloss_kernels.reductions.argmax import _top_bits, largest_magnitude
from fastloss_kernels.reductions.sum_rows import add_rows, with_one
from fastloss_kernels.simd.raw_arrays import copy
from fastloss_kernels.simd.scalar import bits, fma, from_bits
from fastloss_kernels.typing import Array


@block
def take_out(w: Array, rows: int, width: int, c0: int, target: Array, taken: Array) -> None:
    """Move the element of class `target` of each row from w to `taken`, leaving 0 in its place.

    w holds the classes `c0` to ``c0 + width`` of each row; rows whose class lies elsewhere stay.
    """
    for r in range(rows):
        c = target[r] - c0
        if 0 <= c < width:
            taken[r] = w[r * width + c]
            w[r * width + c] = 0


# More would cost hopeless rows digits: their loss is a difference of two logarithms of that size.
HEADROOM_S, HEADROOM_D = 56, 200

LOG2 = 0.6931471805599453


@block
def _exponent(x: float) -> int:
    """Return n of 2^n <= x < 2^(n + 1) for a positive normal float64; 1024 for infinity."""
    return (bits(np.float64(x)) >> 52) - 1023


@block
def small_magnitude(classes: int, scale: Array, rows: int, like: Array) -> Any:
    """Return the largest |x| of logits that need no K, as bits in like's dtype; -1: there is none.

    Normal numbers go from 2^-m to 2^(m + 1), with m = 126 or 1022, and several must be such. The
    element e^-x of a row whose largest is e^x, also where that has been brought to 2^h, h = 56 or
    200: 2 x <= (m + h) log(2). Then a row gives the same bits both ways. The factor scale / S of a
    row, S <= classes e^x, and partial sums: x <= (m - 1 - log2(classes) + l) log(2), if no scale is
    below 2^l. And the factor where S is only e^-x: x <= (m - l) log(2), if none is above 2^l. A
    scale of 0 asks for nothing. For float64 S / e^-x must be finite too, which is a sum of at
    most 2^43 numbers: 2 x <= (1024 - 43) log(2). In float32 that quotient is one of float64.
    """
    one = bits(1.0)
    lowest, highest = one, one
    for r in range(rows):
        size = bits(abs(scale[r]))  # which are ordered as the numbers are: this is vector code
        lowest, highest = min(lowest, size if size > 0 else one), max(highest, size)
    least, most = max(from_bits(lowest), np.finfo(np.float64).tiny), from_bits(highest)
    single = like.itemsize == 4
    m = 126 if single else 1022
    wide = m - 2 - _exponent(float(classes)) + _exponent(least)
    high = m - 1 - _exponent(most)
    size = min(51.0 if single else 340.0, min(wide, high) * LOG2)
    return bits(like.dtype.type(size if size > 0.0 else -1.0))


@block
def powers(v: Array, rows: int, target: Array, scaling: tuple[Array, Array, Array, Array]) -> None:
    """Set, of each row of v, the power K, the shift, the height and the gap.

    Beyond 2^16 (2^40) x log2(e) is too coarse for n. Logits near such a maximum are so coarse that
    their difference to it is exact, so it is taken off first: shift is the maximum there, else 0.
    The height is the logarithm of the largest exponential, ``(top - shift) - K log(2)``, taken in
    two parts like the n log(2) of e^x. The gap is how far the class `target` is below the largest.
    """
    power, shift, height, gap = scaling
    classes = v.size // rows
    exact = 2.0**16 if v.itemsize == 4 else 2.0**40
    headroom = HEADROOM_S if v.itemsize == 4 else HEADROOM_D
    for r in range(rows):
        top = np.float64(from_bits(_top_bits(v[r * classes : (r + 1) * classes])))
        near = abs(top) <= exact
        k = np.rint(top * 1.4426950408889634) - headroom if near else np.float64(-headroom)
        power[r] = int(k)
        shift[r] = 0.0 if near else top
        height[r] = fma(-k, 2.3190468138462996e-17, fma(-k, 0.6931471805599453, top - shift[r]))
        gap[r] = top - v[r * classes + target[r]]


@block
def _bounded(v: Array, w: Array, same: bool, ahead: Ahead, start: int, traffic: Traffic) -> Any:
    """Set w to e^v, and return `largest_magnitude` of v, between which memory is kept busy.

    Where v is w they must not be told apart: a loop over one array is vector code, a loop over two
    that share their memory is not.
    """
    largest = bits(v.dtype.type(0))
    for k in range(0, w.size, tuning.CHUNK):
        fetch_next(ahead, start + k, tuning.CHUNK)
        send(traffic)
        e = w[k : k + tuning.CHUNK]
        if same:
            for c in range(e.size):
                e[c] = exp_bounded(e[c])
            continue
        x = v[k : k + tuning.CHUNK]
        for c in range(e.size):
            largest = max(largest, bits(abs(x[c])))
            e[c] = exp_bounded(x[c])
    return largest


@block
def _scaled(w: Array, rows: int, shift: Array, power: Array) -> None:
    """Replace every x of the rows w by e^(x - shift) 2^-power."""
    width = w.size // rows
    for r in range(rows):
        row = w[r * width : (r + 1) * width]
        k, s = power[r], w.dtype.type(shift[r])
        for c in range(width):
            row[c] = exp_scaled(row[c] - s, k)


@block
def close_sums(sums: tuple[Array, Array, Array], lost: Array, rows: int) -> None:
    """Set `total` of ``sums = (chosen, others, total)``, and add to `others` what they lost."""
    chosen, others, total = sums
    for r in range(rows):
        total[r] = with_one(others[r], lost[r], chosen[r])
        others[r] += lost[r]


@block
def exponential_sums(
    v: Array,
    w: Array,
    whole: int,
    same: bool,
    rows: int,
    piece: int,
    scale: Array,
    target: Array,
    scaling: tuple[Array, Array, Array, Array],
    sums: tuple[Array, Array, Array],
    lost: Array,
    spare: tuple[Array, Array],
    ahead: Ahead,
    traffic: Traffic,
) -> bool:
    """Turn rows of logits into exponentials; take one class out of each, and sum the others.

    w has room for the rows v if `whole`, and is v if `same`; else it has room for a piece of a row
    at a time. Afterwards, with ``sums = (chosen, others, total)``, `chosen` is the scaled
    exponential of each row's class `target`, in whose place w has 0, `others` the sum of all the
    others and `total` that of all. `ahead` is what is `coming`.

    Returns whether all logits were small; if not, `scaling` (see `powers`) was
    needed.
    """
    chosen, others, _ = sums
    power, shift, _, _ = scaling
    classes = v.size // rows
    small = small_magnitude(classes, scale, rows, v)
    fast = not same or largest_magnitude(v) <= small
    expected = not fast
    while fast != expected:
        expected = fast
        if not fast:
            powers(v, rows, target, scaling)
        for c in range(0, classes, piece):
            width = min(piece, classes - c)
            part = w[c * whole : c * whole + rows * width]
            x = v[c : c + part.size]
            if expected:
                fast &= _bounded(x, part, same, ahead, c, traffic) <= small
            else:
                if not same:
                    copy(x, part)
                _scaled(part, rows, shift, power)
            take_out(part, rows, width, c, target, chosen)
            add_rows(part, rows, c == 0, others, lost, spare)
    close_sums(sums, lost, rows)
    return fast
