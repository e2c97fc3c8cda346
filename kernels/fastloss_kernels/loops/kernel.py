"""How a kernel is put together: the parts that do its work, and the one parallel loop over rows.

A part processes the rows ``first`` to ``last`` of a batch on one thread. All parts have one
signature,

    (first, last, x, targets, options, scale, keep, loss, grad) -> int

where `options` are the kernel's own arguments, in its order, and the result is the first row whose
label is out of range, or -1. `rows` parts take contiguous rows in the working dtype only, and
compile in a third of the time; `packed` parts pack others for them; `columns` parts take every
layout, and give what is not class-major to `packed`. A public kernel is a thin function around its
parts: the flat list of its arguments, its documentation, and a call of `run_part`. From Python its
parts are called directly; see `launch`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from fastloss_kernels.compiler.jit import block, cached, overload_block, parallel, public
from fastloss_kernels.compiler.linking import (
    address_of,
    as_number,
    as_pointer,
    behind,
    call,
    call_address,
    on_stack,
    part_arguments,
)
from fastloss_kernels.loops.row_inputs import first_bad_label
from fastloss_kernels.memory.layout import row_count
from fastloss_kernels.simd.raw_arrays import free, heap_array
from fastloss_kernels.typing import Array, Parts
from numba import prange, types


@cached
def check_labels(
    first: int,
    last: int,
    x: Array,
    targets: Array,
    options: Any,
    scale: Array,
    keep: Array,
    loss: Array,
    grad: Array | None,
) -> int:
    """Return the first kept row whose label is out of range, or -1: a part."""
    return first_bad_label(targets, first, last, x.shape[1], keep)


@block
def unchecked_label(first: int, last: int, x: Array, labels: Array, keep: Array) -> int:
    """Return the first row whose label is out of range if a part has all rows, else -1.

    The labels of a share of the rows have been checked with all others, by `parallel_rows`.
    """
    if last - first < row_count(x):
        return -1
    return first_bad_label(labels, first, last, x.shape[1], keep)


@parallel
def parallel_rows(share: Any, parts: Any, rows: int, threads: int, arguments: Any) -> int:
    """Call the parts at some addresses, one after the other, each on all rows; 0 is no part.

    Rows are split evenly over `threads`. Stops at a result that is not -1, and returns the first.

    `spread` calls this. `share` is the address of `share_of_rows`, and `arguments` that of the
    parts' arguments. Numba compiles the body of a parallel loop five times over, which takes more
    than a second. This loop takes numbers only, and is compiled once for all kernels and dtypes.
    """
    found = np.empty(threads, np.int64)
    for part in parts:
        if part:
            for p in prange(threads):
                begin, end = p * rows // threads, (p + 1) * rows // threads
                found[p] = call_address(share, begin, end, (part, as_pointer(arguments)))
            for p in range(threads):
                if found[p] != -1:
                    return found[p]
    return -1


@cached
def share_of_rows(first: int, last: int, part: Any, arguments: Any) -> int:
    """Call the part at an address with the arguments behind a pointer."""
    return call_address(part, first, last, behind(arguments))


@cached
def spread(check: Any, work: Any, threads: int, arguments: tuple[Any, ...]) -> int:
    """Call the part at the address `check`, if any, on all rows, then that at `work`.

    This is the parallel loop for arguments of these types.
    """
    pointer = on_stack(arguments)
    share = address_of(share_of_rows, (work, pointer))
    rows = row_count(arguments[0])
    return call(parallel_rows, (share, (check, work), rows, threads, as_number(pointer)))


@block
def run_part(check: Any, work: Any, threads: int, given: Any) -> int:
    """Call a part on all rows, on this thread or on several; return what it found."""
    arguments = part_arguments(given)
    if threads > 1:
        places = address_of(check, arguments), address_of(work, arguments)
        return call(spread, (*places, threads, arguments))
    return call(work, (0, row_count(arguments[0]), *arguments))


def _int64(labels: Array) -> Array:
    """Return integer labels as int64: themselves, or a copy that `_free_copy` frees."""
    return labels.astype(np.int64)


def _free_copy(copied: Array, labels: Array) -> None:
    """Free what `_int64` made of labels."""


def _copied(labels: Array) -> Array:
    copied = heap_array(labels.size, np.int64)
    for k in range(labels.size):
        copied[k] = labels[k]
    return copied


def _to_copy(labels: Any) -> bool:
    integers = isinstance(labels, types.Array) and isinstance(labels.dtype, types.Integer)
    return integers and labels.dtype != types.int64


overload_block(_int64)(lambda labels: _copied if _to_copy(labels) else (lambda labels: labels))
overload_block(_free_copy)(
    lambda copied, labels: (
        (lambda copied, labels: free(copied)) if _to_copy(labels) else (lambda copied, labels: None)
    )
)


@block
def run_labelled(work: Any, threads: int, given: Any) -> int:
    """Call a part as `run_part` does, with labels of any integer dtype."""
    x, labels, options, scale, keep, loss, grad = given
    ids = _int64(labels)
    found = run_part(check_labels, work, threads, (x, ids, options, scale, keep, loss, grad))
    _free_copy(ids, labels)
    return found


def kernel(
    rows: Any, packed: Any, columns: Any, *, short_rows: Any = None, labels: bool = False
) -> Callable[[Callable[..., Any]], Any]:
    """Return the decorator of a public kernel with these parts.

    Without a part for short rows `rows` takes them.
    """
    check = check_labels if labels else None
    parts = Parts(rows, short_rows or rows, packed, columns, check, spread)

    def decorate(function: Callable[..., Any]) -> Any:
        decorated = public(function)
        decorated.parts = parts
        return decorated

    return decorate
