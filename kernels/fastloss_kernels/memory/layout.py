"""Where the rows of an array lie in memory: asked once an array, then carried along.

Predictions, dense targets and gradients have the shape (outer, classes, inner). Row i is
``[i // inner, :, i % inner]``. Rows are *contiguous* where the elements of a row are neighbours and
rows follow each other without gaps. They are *class-major* where the neighbour of an element
belongs to the same class of the next row, as in images; then a class of neighbouring rows is a
*column*.
"""

from typing import Any, NamedTuple

from fastloss_kernels import tuning
from fastloss_kernels.compiler.jit import block, called, overload_block
from fastloss_kernels.simd.raw_arrays import flat_view
from fastloss_kernels.typing import Array
from numba import types


class Layout(NamedTuple):
    """An array of rows, and where they lie. Steps are in bytes."""

    data: Any  # flat view from the first element on
    rows: Any
    classes: Any
    class_step: Any
    line: Any  # rows of a line: rows at one distance from each other
    row_step: Any  # from row to row of a line
    line_step: Any
    packed: Any  # whether all rows are contiguous, one behind the other
    class_major: Any
    direct: Any  # whether blocks of rows are processed where they lie; see `layout_of`
    spaced: Any  # whether blocks are copied row by row
    direct_columns: Any  # likewise columns


@block
def rows_per_block(classes: int, itemsize: int) -> int:
    """Return how many rows of `classes` elements make a block, at least one."""
    rows = tuning.BLOCK // max(1, classes)
    if classes * itemsize <= tuning.SHORT_ROW:  # loops over these rows have no remainder
        rows -= rows % tuning.ROW_MULTIPLE
    return max(1, min(tuning.BLOCK_ROWS, rows))


@block
def block_rows_of(x: Array) -> int:
    """Return how many rows of predictions x make a block."""
    return rows_per_block(x.shape[1], x.itemsize)


@block
def piece_size(classes: int) -> int:
    """Return how many classes are processed at a time: all of them where a block holds the row."""
    return max(1, min(classes, tuning.BLOCK))


@block
def row_count(x: Array) -> int:
    """Return outer * inner."""
    return x.shape[0] * x.shape[2]


@block
def _lines(shape: Any, strides: Any) -> tuple[int, int, int]:
    """Return (rows of a line, bytes from row to row, bytes from line to line)."""
    outer, _, inner = shape
    return (outer, strides[0], 0) if inner == 1 else (inner, strides[2], strides[0])


@called
def _layout(data: Array, shape: Any, strides: Any, like: Array) -> Layout:
    (outer, classes, inner), itemsize, class_step = shape, data.itemsize, strides[1]
    line, row_step, line_step = _lines(shape, strides)
    adjacent, neighbours = class_step == itemsize, row_step == itemsize
    row, working = classes * itemsize, itemsize == like.itemsize
    packed = (
        (classes == 1 or adjacent)
        and (inner == 1 or strides[2] == row)
        and (outer == 1 or strides[0] == inner * row)
    )
    single_rows = adjacent and rows_per_block(classes, itemsize) == 1
    return Layout(
        data=data,
        rows=outer * inner,
        classes=classes,
        class_step=class_step,
        line=line,
        row_step=row_step,
        line_step=line_step,
        packed=packed,
        class_major=neighbours and not adjacent,
        direct=working and (packed or single_rows),
        spaced=working and adjacent and classes >= tuning.SPACED_CLASSES,
        direct_columns=working and neighbours,
    )


@block
def layout_of(x: Array, like: Array) -> Layout:
    """Return the layout of x, whose rows are processed in `like`'s dtype.

    Blocks are direct if they are contiguous and of that dtype: all rows are packed, or those of a
    single row and its classes are neighbours. Long rows with gaps between them are spaced.
    """
    return _layout(flat_view(x, x.dtype), x.shape, x.strides, like)  # read-only or not: one type


@block
def in_blocks(x: Layout) -> bool:
    """Return whether parts for contiguous rows take it: blocks are direct, or copied by them."""
    return x.direct or x.spaced


def layout_beside(x: Layout, other: Array | None, like: Array) -> Layout:
    """Return the layout of the targets or of the gradient; for labels and None that of x stands in.

    So a branch that never reads it compiles.
    """
    return x if other is None or other.ndim == 1 else layout_of(other, like)


overload_block(layout_beside)(
    lambda x, other, like: (
        (lambda x, other, like: layout_of(other, like))
        if isinstance(other, types.Array) and other.ndim == 3
        else (lambda x, other, like: x)
    )
)


@block
def offset_of(x: Layout, row: int) -> int:
    """Return how many bytes behind the first element a row begins."""
    return row // x.line * x.line_step + row % x.line * x.row_step


@block
def size_of(x: Layout) -> int:
    """Return the number of bytes of all elements."""
    return x.rows * x.classes * x.data.itemsize


@block
def is_long(x: Layout) -> bool:
    """Return whether hardly more than one row fits a second-level cache."""
    return x.classes * x.data.itemsize > tuning.LONG_ROW


@block
def rows_per_tile(x: Array, grad: Array | None) -> int:
    """Return how many rows make a tile, 0 if those of x have no class or are not class-major."""
    classes = x.shape[1]
    if classes == 0:
        return 0
    line, row_step, _ = _lines(x.shape, x.strides)
    most = tuning.TILE_ROWS
    if grad is not None:
        most = min(most, tuning.TILE_ELEMENTS // classes)
    if min(line, most) < tuning.TILE_ROWS_LEAST or abs(row_step) >= abs(x.strides[1]):
        return 0
    tiles = (line + most - 1) // most
    even = (line + tiles - 1) // tiles
    return min(most, (even + 15) // 16 * 16)


@block
def rows_of_tile(x: Layout, first: int, last: int, most: int) -> int:
    """Return how many rows from `first` on make the next tile: all of one line."""
    return min(most, last - first, x.line - first % x.line)
