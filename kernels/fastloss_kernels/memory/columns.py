"""Columns: one class of neighbouring rows, between memory and the arithmetic of a tile."""

from typing import Any, NamedTuple

from fastloss_kernels import tuning
from fastloss_kernels.compiler.jit import block
from fastloss_kernels.memory.layout import Layout, offset_of, size_of
from fastloss_kernels.simd.cache_hints import prefetch, store_nontemporal
from fastloss_kernels.simd.half import narrow, widen
from fastloss_kernels.simd.raw_arrays import copy, flat_view
from fastloss_kernels.typing import Array


class Tile(NamedTuple):
    """Class-major rows that are processed together, and what belongs to them."""

    first: Any
    rows: Any
    classes: Any
    most: Any  # rows of the largest tile
    scale: Any  # factor of each row's gradient
    new_scale: Any  # whether it has changed since the last tile
    loss: Any
    plans: Any  # the order of summation, see `sum_columns`
    sums: Any  # workspaces for `sum_in_order`
    temporaries: Any  # flat: values of `TILE_ROWS` rows one behind the other, which outlast a tile
    kept: Any  # room for all exponentials of the tile


@block
def _read(x: Layout, offset: int, target: Array) -> None:
    """Copy a column to `target`, in its dtype."""
    data, step = x.data, x.row_step
    if step == data.itemsize:
        source = flat_view(data, data.dtype, offset)
        for k in range(target.size):
            target[k] = widen(source[k])
    else:
        for k in range(target.size):
            target[k] = widen(flat_view(data, data.dtype, offset + k * step)[0])


@block
def _write(source: Array, out: Layout, offset: int) -> None:
    """Copy `source` to a column of the gradient."""
    grad, step = out.data, out.row_step
    like = grad.dtype.type(0)
    if step == grad.itemsize:
        target = flat_view(grad, grad.dtype, offset)
        for k in range(source.size):
            target[k] = narrow(source[k], like)
    else:
        for k in range(source.size):
            flat_view(grad, grad.dtype, offset + k * step)[0] = narrow(source[k], like)


@block
def column_at(x: Layout, offset: int, c: int, rows: int, like: Array) -> Array:
    """Return class c of the rows at `offset` where it lies, in the dtype of `like`."""
    return flat_view(x.data, like.dtype, offset + c * x.class_step)[:rows]


@block
def load_column(x: Layout, offset: int, c: int, rows: int, scratch: Array) -> Array:
    """Return class c of the rows at `offset`: where it lies, or copied to `scratch`."""
    if x.direct_columns:
        return column_at(x, offset, c, rows, scratch)
    _read(x, offset + c * x.class_step, scratch[:rows])
    return scratch[:rows]


@block
def prefetch_column(x: Layout, offset: int, c: int, rows: int) -> None:
    """Prefetch class c of the rows at `offset`, if they are neighbours."""
    if x.row_step == x.data.itemsize:
        prefetch(column_at(x, offset, c, rows, x.data), 0, rows)


@block
def streams_columns(out: Layout) -> bool:
    """Return whether columns of the gradient are stored past the caches."""
    return out.direct_columns and size_of(out) >= tuning.STREAM


@block
def store_column(column: Array, out: Layout, offset: int, c: int, following: int) -> None:
    """Write class c of the rows at `offset`; `following` will be one of the next."""
    rows = column.size
    if streams_columns(out):
        # A line that is written in part has to be read first: prefetched, it delays no store.
        ahead = column_at(out, offset, following, rows, column)
        prefetch(ahead, 0, 1)
        prefetch(ahead, rows - 1, 1)
        store_nontemporal(column, column_at(out, offset, c, rows, column), rows)
    elif out.direct_columns:
        copy(column, column_at(out, offset, c, rows, column))
    else:
        _write(column, out, offset + c * out.class_step)


@block
def pick_classes(x: Layout, first: int, rows: int, target: Array, picked: Array) -> None:
    """Set `picked` to each row's element of class `target`."""
    offset = offset_of(x, first)
    for r in range(rows):
        here = offset + r * x.row_step + target[r] * x.class_step
        picked[r] = widen(flat_view(x.data, x.data.dtype, here)[0])
