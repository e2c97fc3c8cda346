"""Functions of single elements: the factory of their parts.

An activation without an axis is one element function ``(x, zero, one) -> value``. Its parts have
the signature of all parts: `grad` receives the values. Rows mean nothing here, and `loss` is not
written.
"""

from typing import Any

from fastloss_kernels.compiler.jit import block
from fastloss_kernels.loops.packed import packed_part
from fastloss_kernels.loops.row_inputs import Batch
from fastloss_kernels.loops.rows import rows_part
from fastloss_kernels.memory.rows import Block
from fastloss_kernels.memory.streaming import (
    chunk_size,
    prefetch_block,
    prefetch_chunk,
    write_chunk,
)
from fastloss_kernels.simd.raw_arrays import stack_array
from fastloss_kernels.typing import Array


def elementwise_map(module: str, element: Any, *, prefix: str = "") -> tuple[Any, Any]:
    """Return the (rows, packed) parts of an elementwise function.

    Parameters
    ----------
    module : str
        The function's module, ``__name__``: with the `prefix` its parts are known by it.
    element : block function
        ``element(x, zero, one)`` returns the value for one element x; all are of one dtype.
    """

    @block
    def work(b: Block, batch: Batch, options: Any, grad: Array | None) -> None:
        if grad is not None:
            values, ahead = stack_array(b.loss.dtype), prefetch_block(batch.x, b.first, b.rows)
            zero, one = b.loss.dtype.type(0), b.loss.dtype.type(1)
            size, k = b.rows * b.classes, 0
            while k < size:
                n = chunk_size(b.out, k, size - k)
                prefetch_chunk(ahead, k)
                x = b.x[k : k + n]
                for e in range(n):
                    values[e] = element(x[e], zero, one)
                write_chunk(values, b.out[k:], n, b.streamed)
                k += n

    rows = rows_part(module, f"{prefix}rows", work, one_pass=True)
    return rows, packed_part(module, f"{prefix}packed", rows)
