"""Rows of logits -> rows of e^x 2^-K, with the power K that keeps every digit of ``x - max``.

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

from fastloss_kernels.blocks import copy
from fastloss_kernels.exponential import exp_bounded, exp_scaled
from fastloss_kernels.intrinsics import bits, cut, fma, from_bits
from fastloss_kernels.jit import block, called
from fastloss_kernels.labels import take_out
from fastloss_kernels.lines import BLOCK
from fastloss_kernels.rowsums import add_rows, with_one
from fastloss_kernels.traffic import CHUNK, Ahead, Coming, Traffic, fetch_next, fetch_piece, send
from fastloss_kernels.typing import Array

# A factor scale / S must stay normal: rows with a smaller scale lose their headroom for it.
SMALLEST_SCALE = 2.0**-40
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
def largest_magnitude(v: Array) -> Any:
    """Return the largest |v|, as bits: like that they are ordered, NaN above all."""
    largest = bits(v.dtype.type(0))
    for k in range(v.size):
        largest = max(largest, bits(abs(v[k])))
    return largest


@block
def ordered(b: Any, zero: Any, lowest: Any) -> Any:
    """Return an integer for the bits of a float: integers are ordered as the floats are.

    `zero` and `lowest`, the most negative integer, are the bits of 0 and -0.
    """
    return b if b >= zero else cut(~(b ^ lowest), zero)


@block
def _top_bits(row: Array) -> Any:
    """Return the largest element as bits; NaN counts as the largest."""
    zero = bits(row.dtype.type(0))
    lowest = bits(row.dtype.type(-0.0))  # the most negative integer
    best = lowest
    for k in range(row.size):
        best = max(best, ordered(bits(row[k]), zero, lowest))
    return best if best >= zero else cut(~best ^ lowest, zero)


@block
def top_class(row: Array) -> int:
    """Return the index of the first of the largest elements."""
    best, count = _top_bits(row), np.int32(row.size)
    at = count
    for k in range(count):
        at = min(at, np.int32(k) if bits(row[k]) == best else count)
    return int(at)


@called
def top_class_ahead(row: Array, ahead: Coming) -> int:
    """Do as `top_class` with a row longer than a block, while what is `coming` is fetched."""
    zero, lowest = bits(row.dtype.type(0)), bits(row.dtype.type(-0.0))
    best, at = lowest, 0
    for k in range(0, row.size, BLOCK):
        fetch_piece(ahead, k, BLOCK)
        largest = ordered(_top_bits(row[k : k + BLOCK]), zero, lowest)
        if largest > best:
            best, at = largest, k
    return at + top_class(row[at : at + BLOCK])


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
    for k in range(0, w.size, CHUNK):
        fetch_next(ahead, start + k, CHUNK)
        send(traffic)
        e = w[k : k + CHUNK]
        if same:
            for c in range(e.size):
                e[c] = exp_bounded(e[c])
            continue
        x = v[k : k + CHUNK]
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
def lowering(scale: float, like: Array) -> Any:
    """Return by what a row's exponentials and sums are multiplied before its gradient: 1 or 2^-h.

    Only then, for a loss must not depend on the scale. What 2^-h makes subnormal is nothing times
    such a scale.
    """
    low = 2.0**-HEADROOM_S if like.itemsize == 4 else 2.0**-HEADROOM_D
    return like.dtype.type(low if 0.0 < abs(scale) < SMALLEST_SCALE else 1.0)


@block
def lower_sums(sums: tuple[Array, Array, Array], rows: int, scale: Array, like: Array) -> None:
    """Multiply the sums of rows by their `lowering`."""
    chosen, others, total = sums
    for r in range(rows):
        by = lowering(scale[r], like)
        chosen[r], others[r], total[r] = chosen[r] * by, others[r] * by, total[r] * by


@block
def lower_rows(w: Array, rows: int, scale: Array) -> None:
    """Multiply the rows w by their `lowering`."""
    width = w.size // rows
    for r in range(rows):
        by = lowering(scale[r], w)
        if by != 1:
            row = w[r * width : (r + 1) * width]
            for c in range(width):
                row[c] *= by


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
