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


What a tile of logits and targets comes to: the largest logits, and the sums of all classes.

Logits are read twice, for no distance is known before the largest logit is: the second time with
the targets, for whatever is summed.
"""

from typing import Any

import numpy as np
from fastloss_kernels import tuning
from fastloss_kernels.compiler.jit import block, called
from fastloss_kernels.memory.columns import fetch_run, run_of
from fastloss_kernels.memory.layout import lines_of, place_of
from fastloss_kernels.memory.streaming import Coming, fetch_piece
from fastloss_kernels.simd.raw_arrays import stacked
from fastloss_kernels.simd.scalar import bits, cut
from fastloss_kernels.typing import Array


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
    for k in range(0, row.size, tuning.BLOCK):
        fetch_piece(ahead, k, tuning.BLOCK)
        largest = ordered(_top_bits(row[k : k + tuning.BLOCK]), zero, lowest)
        if largest > best:
            best, at = largest, k
    return at + top_class(row[at : at + tuning.BLOCK])


@called
def largest_logits(x: Array, first: int, rows: int, best: Array, top: Array) -> Any:
    """Set `best` and `top` to each row's first largest logit and its class, as `top_class` does.

    Returns the `largest_magnitude` of the rows; if that is NaN's they mean nothing.
    """
    offset, step, last = place_of(x, first), lines_of(x)[1], x.shape[1] - 1
    zero, lowest = bits(best.dtype.type(0)), bits(best.dtype.type(-0.0))
    box, largest = stacked(best.dtype), zero
    for c in range(x.shape[1]):
        here = np.int32(c)
        for begin in range(0, rows, tuning.TILE_CHUNK):
            end = min(begin + tuning.TILE_CHUNK, rows)
            place, size = offset + begin * step, end - begin
            fetch_run(x, place, min(c + 1, last), size)
            run, high, at = run_of(x, place, size, c, box), best[begin:end], top[begin:end]
            for r in range(size):
                largest = max(largest, bits(abs(run[r])))
                above = ordered(bits(run[r]), zero, lowest) > ordered(bits(high[r]), zero, lowest)
                above |= here == 0
                high[r] = run[r] if above else high[r]
                at[r] = here if above else at[r]
    return largest
