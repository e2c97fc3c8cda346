"""Rows of logits -> rows of e^x 2^-K, with the power K that keeps every digit of ``x - max``.

Subtracting the largest logit would round: for x = 0.1 and a maximum of 50 the difference has lost
32 ulp of e^(x - 50). Instead n of e^x = 2^n e^r is lowered by a whole number K. Where all |x| of a
block are below 40 (float32) or 320 (float64), e^x and its products with the row's factor stay
normal without any K: K = 0 and no row's maximum is needed. Otherwise K puts the row's largest
element near 2^24 (2^60), so that an element whose probability is a normal number is one itself.
"""

from typing import Any

import numpy as np

from fastloss_kernels.blocks import CHUNK, copy, fetch, row_pair, two_sum, with_one
from fastloss_kernels.exponential import exp_bounded, exp_scaled
from fastloss_kernels.intrinsics import bits, fma
from fastloss_kernels.jit import block
from fastloss_kernels.labels import step, take_out
from fastloss_kernels.typing import Array

# Gradient factors scale / S must stay normal: S is below 2^58 * classes on the fast way.
SMALLEST_SCALE = 2.0**-60


@block
def largest_magnitude(v: Array) -> Any:
    """Return the largest |v|, as bits: like that they are ordered, NaN above all."""
    largest = bits(v.dtype.type(0))
    for k in range(v.size):
        largest = max(largest, bits(abs(v[k])))
    return largest


@block
def load(v: Array, w: Array) -> Any:
    """Copy v to w; return `largest_magnitude` of it. v and w do not overlap."""
    largest = bits(v.dtype.type(0))
    for k in range(w.size):
        x = v[k]
        w[k] = x
        largest = max(largest, bits(abs(x)))
    return largest


@block
def _fast(v: Array, largest: Any, first: int, rows: int, scale: Array) -> bool:
    """Return whether no element is large, infinite or NaN and no scale is tiny."""
    small = largest <= bits(v.dtype.type(40.0 if v.itemsize == 4 else 320.0))
    scaled = step(scale)
    for r in range(rows if scaled else 1):
        s = abs(scale[(first + r) * scaled])
        small = small and not 0.0 < s < SMALLEST_SCALE
    return bool(small)


@block
def top_class(v: Array, start: int, size: int) -> int:
    """Return the index of the first largest element of a row; NaN counts as the largest.

    Integers with the sign turned over are ordered as the floats are. Chunks keep the search for the
    place short and the search for the value in vector code.
    """
    zero = bits(v.dtype.type(0))
    lowest = bits(v.dtype.type(-0.0))  # the most negative integer
    best, at = lowest, 0
    for c0 in range(0, size, CHUNK):
        chunk = v[start + c0 : start + min(c0 + CHUNK, size)]
        largest = lowest
        for k in range(chunk.size):
            b = bits(chunk[k])
            largest = max(largest, b if b >= zero else ~(b ^ lowest))
        if largest > best:
            best, at = largest, c0
    for k in range(at, size):
        b = bits(v[start + k])
        if (b if b >= zero else ~(b ^ lowest)) == best:
            return k
    return 0


@block
def powers(
    v: Array,
    largest: Any,
    first: int,
    rows: int,
    scale: Array,
    top: Array,
    shift: Array,
    power: Array,
) -> bool:
    """Set K and the shift of each row of v; return whether all K are 0.

    `largest` is the `largest_magnitude` of v; `top` receives the rows' largest logits, unless all K
    are 0.

    Beyond 2^20 (2^40) n itself would lose digits. Logits near such a maximum are so coarse that
    their difference to it is exact, so it is taken off first: shift is the maximum there, else 0.
    """
    classes = v.size // rows
    if _fast(v, largest, first, rows, scale):
        for r in range(rows):
            shift[r] = 0
            power[r] = 0
        return True
    exact = 2.0**20 if v.itemsize == 4 else 2.0**40
    scaled = step(scale)
    for r in range(rows):
        x = np.float64(v[r * classes + top_class(v, r * classes, classes)])
        top[r] = x
        headroom = 24 if v.itemsize == 4 else 60
        if 0.0 < abs(scale[(first + r) * scaled]) < SMALLEST_SCALE:
            headroom = 0
        if abs(x) <= exact:
            shift[r] = 0
            power[r] = int(np.rint(x * 1.4426950408889634)) - headroom
        else:
            shift[r] = x
            power[r] = -headroom
    return False


@block
def exponentials(
    w: Array, rows: int, fast: bool, shift: Array, power: Array, ahead: Array, start: int
) -> None:
    """Replace every x of the rows w by e^(x - shift) 2^-power, while fetching ``ahead[start:]``."""
    if fast:
        for k in range(0, w.size, CHUNK):
            fetch(ahead, start + k)
            chunk = w[k : k + CHUNK]
            for c in range(chunk.size):
                chunk[c] = exp_bounded(chunk[c])
        return
    width = w.size // rows
    for r in range(rows):
        row = w[r * width : (r + 1) * width]
        k, s = power[r], w.dtype.type(shift[r])
        for c in range(width):
            row[c] = exp_scaled(row[c] - s, k)


@block
def exponential_sums(
    v: Array,
    w: Array,
    whole: int,
    rows: int,
    piece: int,
    scaling: tuple[bool, Array, Array],
    target: Array,
    chosen: Array,
    others: Array,
    total: Array,
    ahead: Array,
) -> None:
    """Turn rows of logits into exponentials; take one class out of each, and sum the others.

    w holds the logits if `whole`; else it has room for a piece of a row of v at a time. Afterwards
    `chosen` is the scaled exponential of each row's class `target`, in whose place w has 0,
    `others` the sum of all the others and `total` that of all. `ahead` is what is `coming`.
    """
    fast, shift, power = scaling
    classes = v.size // rows
    lost = total  # until the sums are complete
    for r in range(rows):
        others[r], lost[r] = 0.0, 0.0
    for c in range(0, classes, piece):
        width = min(piece, classes - c)
        part = w[c * whole : c * whole + rows * width]
        if not whole:
            copy(v[c : c + width], part)
        exponentials(part, rows, fast, shift, power, ahead, c)
        take_out(part, rows, width, c, target, chosen)
        for r in range(rows):
            more, rest = row_pair(part, r * width, width)
            others[r], error = two_sum(others[r], more)
            lost[r] += error + rest
    for r in range(rows):
        rest = lost[r]
        total[r] = with_one(others[r], rest, chosen[r])
        others[r] += rest


@block
def log_sum(total: float, top: float, shift: float, power: int) -> float:
    """Return log(sum of e^x) - top for a row whose scaled sum is `total`.

    ``(top - shift) - power * log(2)``, the logarithm of the scaled largest element, is taken in two
    parts like the n log(2) of e^x.
    """
    k = np.float64(power)
    scaled_top = fma(-k, 2.3190468138462996e-17, fma(-k, 0.6931471805599453, top - shift))
    return np.log(total) - scaled_top
