"""The only file that knows Numba's options; where compiled kernels are kept: see `cache`.

Logits with class labels: the loop over blocks of rows, whatever is done to a block.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from fastloss_kernels.compiler.jit import (
    _compiled,
    _Decorator,
    _parts,
    block,
    cached,
    generic,
    ways,
)
from fastloss_kernels.compiler.linking import call_part
from fastloss_kernels.loops.row_inputs import first_bad_label
from fastloss_kernels.memory.rows import row_count
from fastloss_kernels.typing import Array
from numba import prange

part = cached
"""What one thread does with its share of the rows: ``(first, last, *arguments of the kernel)``."""


def kernel(part: Any, way: Callable[[Any, Any], Any] | None = None) -> _Decorator:
    """Return the decorator of a kernel that shares its rows between threads, each calling `part`.

    ``way(x, loss)`` is another kernel with the same arguments that is enough for these, or None.

    Numba compiles the body of a parallel loop five times over (the loop body and the three wrappers
    around it each hold a copy), which is why the body is but a call: see `calls`. Small work does
    not wait for it: see `entry`.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        decorated = _compiled(function, parallel=True)
        _parts[decorated] = part
        if way is not None:
            ways[decorated] = way
        return decorated

    return decorate


@generic
def each_part(part: Any, rows: int, threads: int, arguments: Any) -> None:
    """Call ``part(first, last, *arguments)`` on `rows` split evenly over `threads`."""
    if threads > 1:
        for p in prange(threads):
            call_part(part, p * rows // threads, (p + 1) * rows // threads, arguments)
    else:
        call_part(part, 0, rows, arguments)


@generic
def first_found(part: Any, rows: int, threads: int, arguments: Any) -> int:
    """Do as `each_part`; return the first result that is not negative, in the order of the rows."""
    found = np.empty(threads, np.int64)
    for p in prange(threads):
        found[p] = call_part(part, p * rows // threads, (p + 1) * rows // threads, arguments)
    first = -1
    for p in range(threads):
        if first < 0:
            first = found[p]
    return first


@block
def unchecked_label(first: int, last: int, x: Array, labels: Array, keep: Array) -> int:
    """Return the first bad label's row among all rows, or -1."""
    if last - first < row_count(x):  # the labels of a share have been checked with all others
        return -1
    return first_bad_label(labels, first, last, x.shape[1], keep)


@part
def _labels_part(first: int, last: int, labels: Array, keep: Array, classes: int) -> int:
    return first_bad_label(labels, first, last, classes, keep)


@generic
def labelled_parts(
    part: Any, threads: int, x: Array, labels: Array, keep: Array, arguments: Any
) -> int:
    """Call a part on all rows if every label is one; return the first bad label's row, or -1."""
    rows = row_count(x)
    if threads > 1:
        bad = first_found(_labels_part, rows, threads, (labels, keep, x.shape[1]))
        if bad < 0:
            each_part(part, rows, threads, arguments)
    else:
        bad = call_part(part, 0, rows, arguments)
    return bad
