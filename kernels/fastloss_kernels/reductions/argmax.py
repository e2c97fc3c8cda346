"""The largest element of a row and its class, by comparing bit patterns as integers.

The bits of floats of one sign are ordered as the floats are, and NaN comes above infinity: loops
over them are vector code, and no NaN gets lost.
"""

from typing import Any

import numpy as np
from fastloss_kernels import tuning
from fastloss_kernels.compiler.jit import block, called
from fastloss_kernels.memory.columns import load_column, prefetch_column
from fastloss_kernels.memory.layout import Layout, offset_of
from fastloss_kernels.memory.streaming import Prefetch, prefetch_piece
from fastloss_kernels.simd.raw_arrays import stack_array
from fastloss_kernels.simd.scalar import bits, wrap_int
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
    return b if b >= zero else wrap_int(~(b ^ lowest), zero)


@block
def top_bits(row: Array) -> Any:
    """Return the largest element as bits; NaN counts as the largest."""
    zero = bits(row.dtype.type(0))
    best = bits(row.dtype.type(-0.0))  # the most negative integer
    for k in range(row.size):
        best = max(best, bits(row[k]))
    if best < zero:  # all are negative, and ordered the other way round
        for k in range(row.size):
            best = min(best, bits(row[k]))
    return best


@block
def top_class(row: Array) -> int:
    """Return the index of the first of the largest elements."""
    best, count = top_bits(row), np.int32(row.size)
    at = count
    for k in range(count):
        at = min(at, np.int32(k) if bits(row[k]) == best else count)
    return int(at)


@called
def top_class_ahead(row: Array, ahead: Prefetch) -> int:
    """Return the `top_class` of a row longer than a block, with a prefetch."""
    zero, lowest = bits(row.dtype.type(0)), bits(row.dtype.type(-0.0))
    best, at = lowest, 0
    for k in range(0, row.size, tuning.BLOCK):
        prefetch_piece(ahead, k, tuning.BLOCK)
        largest = ordered(top_bits(row[k : k + tuning.BLOCK]), zero, lowest)
        if largest > best:
            best, at = largest, k
    return int(at) + top_class(row[at : at + tuning.BLOCK])


@called
def largest_logits(x: Layout, first: int, rows: int, best: Array, top: Array) -> Any:
    """Set `best` and `top` to each row's first largest logit and its class, as `top_class` does.

    Returns the `largest_magnitude` of these class-major rows; if that is a NaN's, they mean
    nothing.
    """
    offset, last = offset_of(x, first), x.classes - 1
    zero, lowest = bits(best.dtype.type(0)), bits(best.dtype.type(-0.0))
    scratch, largest = stack_array(best.dtype), zero
    for c in range(x.classes):
        here = np.int32(c)
        for begin in range(0, rows, tuning.TILE_CHUNK):
            end = min(begin + tuning.TILE_CHUNK, rows)
            place, size = offset + begin * x.row_step, end - begin
            prefetch_column(x, place, min(c + 1, last), size)
            column, high, at = (
                load_column(x, place, c, size, scratch),
                best[begin:end],
                top[begin:end],
            )
            for r in range(size):
                largest = max(largest, bits(abs(column[r])))
                new, old = bits(column[r]), bits(high[r])
                above = ordered(new, zero, lowest) > ordered(old, zero, lowest)
                above |= here == 0
                high[r] = column[r] if above else high[r]
                at[r] = here if above else at[r]
    return largest
