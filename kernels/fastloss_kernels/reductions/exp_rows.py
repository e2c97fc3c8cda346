"""Rows of logits -> rows of e^x 2^-K, with the exponent K that keeps every digit of ``x - max``.

Subtracting the largest logit would round: for x = 0.1 and a maximum of 50 the difference has lost
32 ulp of e^(x - 50). Instead n of e^x = 2^n e^r is reduced by an integer K. Where all |x| of a
block are below 51 (float32) or 340 (float64; see `small_magnitude`), e^x and its products with the
row's factor stay normal without any K: K = 0 and no row's maximum is needed. Otherwise K puts the
row's largest element near 2^56 (2^200), so that an element is a normal number itself wherever its
probability times a scale of up to 2^56 (2^200) is one.

Whether a block's logits are small comes out of the same pass as their exponentials. Where they are
not, the pass is repeated with every row's K. In place the logits would be overwritten by then, so
there a pass that only looks comes first.
"""

from typing import Any, NamedTuple

import numpy as np
from fastloss_kernels import tuning
from fastloss_kernels.compiler.jit import block
from fastloss_kernels.elementary.exp import exp_in_range, exp_scaled
from fastloss_kernels.memory.layout import piece_size
from fastloss_kernels.memory.rows import Block
from fastloss_kernels.memory.streaming import Prefetches, prefetch_chunks, store_chunk
from fastloss_kernels.reductions.argmax import largest_magnitude, top_bits
from fastloss_kernels.reductions.sum_rows import add_element, add_rows
from fastloss_kernels.simd.raw_arrays import copy
from fastloss_kernels.simd.scalar import TINY_F64, bits, fma, from_bits
from fastloss_kernels.typing import Array

# More would cost hopeless rows digits: their loss is a difference of two logarithms of that size.
HEADROOM_F32, HEADROOM_F64 = 56, 200
_LOG2 = 0.6931471805599453


class ExpSums(NamedTuple):
    """Sums of the exponentials of each row, in float64."""

    label: Any  # the exponential of the class that was taken out: the label's, or the largest
    others: Any  # the sum of all others
    total: Any
    lost: Any  # the rounding error of `others` until `close_sums`


class RowExponents(NamedTuple):
    """The scaling of each row whose logits are not small."""

    exponent: Any  # K
    shift: Any  # what is subtracted from the logits beforehand: 0, or a huge maximum
    log_max: Any  # the logarithm of the largest scaled exponential
    label_gap: Any  # how far the label's logit is below the largest


@block
def _exponent(x: float) -> int:
    """Return n of 2^n <= x < 2^(n + 1) for a positive normal float64; 1024 for infinity."""
    return (bits(np.float64(x)) >> 52) - 1023


@block
def small_magnitude(classes: int, scale: Array, rows: int, like: Array) -> Any:
    """Return the largest |x| of logits that need no K, as bits in like's dtype; bits of -1 if none.

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
        size = bits(abs(scale[r]))  # ordered as the numbers are, in vector code
        lowest, highest = min(lowest, size if size > 0 else one), max(highest, size)
    least, most = max(from_bits(lowest), TINY_F64), from_bits(highest)
    single = like.itemsize == 4
    m = 126 if single else 1022
    wide = m - 2 - _exponent(np.float64(classes)) + _exponent(least)
    high = m - 1 - _exponent(most)
    size = min(51.0 if single else 340.0, min(wide, high) * _LOG2)
    return bits(like.dtype.type(size if size > 0.0 else -1.0))


@block
def row_exponents(v: Array, rows: int, target: Array, scaling: RowExponents) -> None:
    """Set the `scaling` of each row of logits v.

    Beyond 2^16 (2^40) x log2(e) is too coarse for n. Logits near such a maximum are so coarse that
    their difference to it is exact, so it is subtracted first. The logarithm of the largest
    exponential, ``(top - shift) - K log(2)``, is taken in two parts like the n log(2) of e^x.
    """
    exponent, shift, log_max, label_gap = scaling
    classes = v.size // rows
    exact = 2.0**16 if v.itemsize == 4 else 2.0**40
    headroom = HEADROOM_F32 if v.itemsize == 4 else HEADROOM_F64
    for r in range(rows):
        top = np.float64(from_bits(top_bits(v[r * classes : (r + 1) * classes])))
        near = abs(top) <= exact
        k = np.rint(top * 1.4426950408889634) - headroom if near else np.float64(-headroom)
        exponent[r] = np.int64(k)
        shift[r] = 0.0 if near else top
        log_max[r] = fma(-k, 2.3190468138462996e-17, fma(-k, _LOG2, top - shift[r]))
        label_gap[r] = top - v[r * classes + target[r]]


@block
def _exponentials(v: Array, w: Array, start: int, b: Block, ahead: Prefetches) -> Any:
    """Set w to e^v, interleaved with memory traffic; return `largest_magnitude` of v.

    Where v is w they must not be told apart: a loop over one array is vector code, a loop over two
    that share their memory is not.
    """
    largest = bits(v.dtype.type(0))
    for k in range(0, w.size, tuning.CHUNK):
        prefetch_chunks(ahead, start + k, tuning.CHUNK)
        store_chunk(b.queue)
        e = w[k : k + tuning.CHUNK]
        if b.in_place:
            for c in range(e.size):
                e[c] = exp_in_range(e[c])
            continue
        x = v[k : k + tuning.CHUNK]
        for c in range(e.size):
            largest = max(largest, bits(abs(x[c])))
            e[c] = exp_in_range(x[c])
    return largest


@block
def _scaled_exponentials(w: Array, rows: int, scaling: RowExponents) -> None:
    """Replace every x of the rows w by e^(x - shift) 2^-K."""
    width = w.size // rows
    for r in range(rows):
        row = w[r * width : (r + 1) * width]
        k, shift = scaling.exponent[r], w.dtype.type(scaling.shift[r])
        for c in range(width):
            row[c] = exp_scaled(row[c] - shift, k)


@block
def _extract_label(w: Array, rows: int, c0: int, target: Array, taken: Array) -> None:
    """Move the element of class `target` of each row from w to `taken`, leaving 0 in its place.

    w holds the classes `c0` onwards of each row; rows whose class lies elsewhere stay.
    """
    width = w.size // rows
    for r in range(rows):
        c = target[r] - c0
        if 0 <= c < width:
            taken[r] = w[r * width + c]
            w[r * width + c] = 0


@block
def close_sums(sums: ExpSums, rows: int) -> None:
    """Set the `total` of sums, and add to `others` what they lost."""
    for r in range(rows):
        sums.total[r] = add_element(sums.others[r], sums.lost[r], sums.label[r])
        sums.others[r] += sums.lost[r]


@block
def exponential_sums(
    b: Block, scale: Array, target: Array, sums: ExpSums, scaling: RowExponents, ahead: Prefetches
) -> bool:
    """Turn a block of logits into exponentials; take one class out of each row, sum the others.

    b.out receives the exponentials, with 0 in the place of each row's class `target`. `scale` are
    the factors that will multiply each row's softmax. Returns whether all logits were small; if
    not, the exponentials and `sums` are scaled by the row's `scaling`.
    """
    v, rows = b.x, b.rows
    piece = piece_size(b.classes)
    small = small_magnitude(b.classes, scale, rows, v)
    fast = not b.in_place or largest_magnitude(v) <= small
    expected = not fast
    while fast != expected:
        expected = fast
        if not fast:
            row_exponents(v, rows, target, scaling)
        for c in range(0, b.classes, piece):
            width = min(piece, b.classes - c)
            w = b.out[c * b.whole : c * b.whole + rows * width]
            x = v[c : c + w.size]
            if expected:
                fast &= _exponentials(x, w, c, b, ahead) <= small
            else:
                if not b.in_place:
                    copy(x, w)
                _scaled_exponentials(w, rows, scaling)
            _extract_label(w, rows, c, target, sums.label)
            add_rows(w, rows, c == 0, sums.others, sums.lost)
    close_sums(sums, rows)
    return fast
