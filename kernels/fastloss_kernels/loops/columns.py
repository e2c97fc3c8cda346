"""The one loop over tiles of class-major rows, for every loss.

A loss gives a tile function ``work(tile, batch, options, grad)``. It sets the losses of the tile's
rows, writes their gradient, unless `grad` is None, and returns True; or it returns False, and the
rows are packed and processed like all others.
"""

from typing import Any, NamedTuple

import numpy as np
from fastloss_kernels import tuning
from fastloss_kernels.compiler.jit import part
from fastloss_kernels.compiler.linking import call
from fastloss_kernels.loops.kernel import unchecked_label
from fastloss_kernels.loops.row_inputs import batch_of, row_values, zero_masked
from fastloss_kernels.memory.columns import Tile
from fastloss_kernels.memory.layout import rows_of_tile, rows_per_tile
from fastloss_kernels.reductions.sum_columns import SUMS, plans_size, write_plans
from fastloss_kernels.simd.cache_hints import store_fence
from fastloss_kernels.simd.raw_arrays import fill, flat_view, free, heap_array, row_array
from fastloss_kernels.typing import Array


class Plan(NamedTuple):
    """What a tile function needs."""

    order: Any  # ONE or FOUR: see `write_plans`
    sums: Any  # how many sums it takes
    temporaries: Any  # how many temporary arrays
    kept: Any  # whether the gradient is made of exponentials that are kept


def any_layout(
    module: str,
    name: str,
    work: Any,
    plan: Plan,
    packed: Any,
    *,
    labels: bool = False,
) -> Any:
    """Return the part for every layout of a loss, known as ``module.name``.

    Parameters
    ----------
    module, name : str
        What the part is known by.
    work : tile function
        What is done to a tile; see above.
    plan : Plan
        What it needs.
    packed : part
        Processes what `work` leaves to it, and rows that are not class-major.
    labels : bool
        Whether targets are class labels, not target rows.
    """
    order, sum_count, temporaries, kept = plan

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
        arguments, most = (x, targets, options, scale, keep, loss, grad), rows_per_tile(x, grad)
        if most == 0:
            return call(packed, (first, last, *arguments))
        if labels:
            bad = unchecked_label(first, last, x, targets, keep)
            if bad >= 0:
                return bad
        batch = batch_of(x, targets, scale, keep, loss)
        kind, classes, row_scale = loss.dtype, batch.x.classes, row_array()
        sums = heap_array(sum_count * SUMS, np.float64)
        fill(sums, 0.0)
        plans = heap_array(plans_size(classes, loss, order), np.int64)
        write_plans(classes, loss, order, plans)
        values = heap_array(temporaries * tuning.TILE_ROWS, kind)
        exponentials = heap_array(most * classes if kept and grad is not None else 0, kind)
        i = first
        while i < last:
            count, new_scale = rows_of_tile(batch.x, i, last, most), scale.size > 1 or i == first
            if new_scale:  # one value serves all tiles
                row_values(scale, i, count if scale.size > 1 else most, row_scale)
            losses = flat_view(loss, kind)[i : i + count]
            tile = Tile(
                first=i,
                rows=count,
                classes=classes,
                most=most,
                scale=row_scale,
                new_scale=new_scale,
                loss=losses,
                plans=plans,
                sums=sums,
                temporaries=flat_view(values, kind),
                kept=flat_view(exponentials, kind),
            )
            if work(tile, batch, options, grad):
                zero_masked(keep, i, count, losses)
            else:
                call(packed, (i, i + count, *arguments))
            i += count
        free(sums)
        free(plans)
        free(exponentials)
        free(values)
        store_fence()
        return -1

    return part(module, name, columns)
