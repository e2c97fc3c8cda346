"""Calls of activations: kernels without targets, whose parts have the signature of all parts.

They are given `NO_TARGETS`, a scale of 1 and no mask. In place of `grad` they take `out`, in place
of `loss` one number of each row: what there is of it, else room that stays unused.
"""

from typing import Any

import numpy as np
from fastloss_kernels.compiler.jit import block, overload_block
from fastloss_kernels.loops.kernel import run_part
from fastloss_kernels.memory.layout import row_count
from fastloss_kernels.simd.raw_arrays import free, heap_array
from fastloss_kernels.typing import KEEP_ALL, NO_TARGETS, SCALE_ONE, Array
from numba import types


@block
def run_activation(work: Any, threads: int, x: Array, values: Array, out: Array | None) -> None:
    """Call a part as `run_part` does, with `values` for a number of each row."""
    run_part(None, work, threads, (x, NO_TARGETS, (), SCALE_ONE, KEEP_ALL, values, out))


def _row_values(x: Array) -> Array:
    """Return room for a number of each row in the working dtype; it has to be freed."""
    return heap_array(row_count(x), np.float64 if x.dtype == np.float64 else np.float32)


@overload_block(_row_values)
def _compiled_row_values(x: Any) -> Any:
    working = types.float64 if x.dtype == types.float64 else types.float32
    return lambda x: heap_array(row_count(x), working)


@block
def run_map(work: Any, threads: int, x: Array, out: Array) -> None:
    """Call a part whose only result is `out`."""
    values = _row_values(x)
    run_activation(work, threads, x, values, out)
    free(values)
