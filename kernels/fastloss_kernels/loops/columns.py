"""The one loop over tiles of class-major rows, for every loss.

A loss gives a tile function ``work(tile, batch, options, grad)``. It sets the losses of the tile's
rows, writes their gradient, unless `grad` is None, and returns True; or it returns False, and the
rows are packed and processed like all others.
"""

from typing import Any, NamedTuple

import numpy as np
from fastloss_kernels import tuning
from fastloss_kernels.compiler.jit import generic, part
from fastloss_kernels.compiler.linking import call
from fastloss_kernels.loops.kernel import unchecked_label
from fastloss_kernels.loops.row_inputs import batch_of, row_values, zero_masked_rows
from fastloss_kernels.memory.columns import Tile
from fastloss_kernels.memory.layout import (
    block_rows_of,
    rows_of_tile,
    rows_per_tile,
)
from fastloss_kernels.memory.rows import Span
from fastloss_kernels.reductions.sum_columns import SUMS, sum_plans
from fastloss_kernels.simd.cache_hints import settle
from fastloss_kernels.simd.deinterleave import is_short
from fastloss_kernels.simd.raw_arrays import hold, memory, row_array
from fastloss_kernels.typing import Array


class Plan(NamedTuple):
    """What a tile function needs."""

    order: Any  # ONE or FOUR: see `sum_plans`
    sums: Any  # how many sums it takes
    temporaries: Any  # how many `tile_temporary` arrays
    kept: Any  # whether the gradient is made of exponentials that are kept


@generic
def _by_rows(rows: Any, short_rows: Any, first: int, last: int, arguments: Any) -> int:
    """Process some rows by the part for contiguous rows, which packs them."""
    if is_short(arguments[0].shape[1], arguments[5]):
        return call(short_rows, (first, last, *arguments))
    return call(rows, (first, last, *arguments))


@generic
def each_tile(
    work: Any, rows: Any, short_rows: Any, plan: Any, span: Span, arguments: Any, grad: Any
) -> None:
    """Call ``work(tile, batch, options, grad)`` for every tile of a span of rows.

    `arguments` are those of a part. Tiles that are not finished are left to the parts `rows` and
    `short_rows`.
    """
    x, targets, options, scale, keep, loss, _ = arguments
    order, count, temporaries, kept = plan
    first, last, most = span
    batch = batch_of(x, targets, scale, keep, loss, block_rows_of(x))
    classes, row_scale = batch.x.classes, row_array()
    sums, plans = np.zeros((count, SUMS)), sum_plans(classes, loss, order)
    box = np.empty(most * classes if kept and grad is not None else 0, loss.dtype)
    values = np.empty(temporaries * tuning.TILE_ROWS, loss.dtype)
    i = first
    while i < last:
        size = rows_of_tile(batch.x, i, last, most)
        new_scale = scale.size > 1 or i == first
        if new_scale:  # one value serves all tiles
            row_values(scale, i, size if scale.size > 1 else most, row_scale)
        losses = memory(loss, loss.dtype)[i : i + size]
        tile = Tile(
            first=i,
            rows=size,
            classes=classes,
            most=most,
            scale=row_scale,
            new_scale=new_scale,
            loss=losses,
            plans=plans,
            sums=sums,
            temporaries=values,
            kept=memory(box, loss.dtype),
        )
        if work(tile, batch, options, grad):
            zero_masked_rows(keep, i, size, losses, losses[:0])
        else:
            _by_rows(rows, short_rows, i, i + size, arguments)
        i += size
    hold(sums)
    hold(plans)
    hold(box)
    hold(values)
    settle()


def any_layout(
    module: str,
    name: str,
    work: Any,
    plan: Plan,
    rows: Any,
    *,
    short_rows: Any = None,
    labels: bool = False,
) -> Any:
    """Return the part for every layout, ``module.name``, of a loss whose tile function is `work`.

    `rows` and `short_rows` are its parts for contiguous rows.
    """
    short = short_rows or rows
    order_sums_kept = tuple(plan)

    def columns(
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
        arguments = (x, targets, options, scale, keep, loss, grad)
        most, bad = rows_per_tile(x, grad), -1
        if most == 0:
            return _by_rows(rows, short, first, last, arguments)
        if labels:
            bad = unchecked_label(first, last, x, targets, keep)
        if bad < 0:
            span = Span(first, last, most)
            each_tile(work, rows, short, order_sums_kept, span, arguments, grad)
        return bad

    return part(module, name, columns)
