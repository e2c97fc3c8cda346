"""Elementwise losses on tiles of class-major rows, one column after the other.

Terms are added to the sums of all rows of the tile, in the order that rows have elsewhere.
"""

from typing import Any, NamedTuple

import numpy as np
from fastloss_kernels import tuning
from fastloss_kernels.compiler.jit import block
from fastloss_kernels.loops.elements import (
    broadcast_row_factors,
    divide_sums,
    heaviest_target,
    repeat_weights,
    write_elements,
)
from fastloss_kernels.loops.row_inputs import Batch, zero_masked
from fastloss_kernels.loops.targets import BinaryTargets, weighted_targets
from fastloss_kernels.memory.columns import (
    Tile,
    load_column,
    prefetch_column,
    store_column,
)
from fastloss_kernels.memory.layout import layout_of, offset_of
from fastloss_kernels.reductions.sum_columns import (
    FOUR,
    add_column,
    add_four,
    slot_of,
    sum_in_order,
)
from fastloss_kernels.simd.raw_arrays import fill, row_array, stack_array, stack_block
from fastloss_kernels.typing import Array


class _State(NamedTuple):
    """What the steps of a sum have in common."""

    tile: Any
    x: Any
    targets: Any
    keep: Any
    options: Any
    plain: Any
    bounds: Any
    out: Any  # the layout of the gradient, or None
    early: Any  # factors of the rows' targets, see `broadcast_row_factors`
    late: Any  # and of their slopes
    terms: Any  # room for four columns


def tile_function(element: Any, bounds: Any, weighted: bool, mean: bool) -> Any:
    """Return the tile function of an elementwise loss; see `elementwise`."""

    @block
    def add_columns(s: _State, out: Any, step: Any) -> None:
        """Process one step of a plan: columns of x and targets, their terms and gradient."""
        count, slot, starts, c, following = step
        first, rows, like = s.tile.first, s.tile.rows, s.tile.loss
        lanes = tuning.REGISTER // like.itemsize
        x_scratch, t_scratch, slopes = (
            stack_array(like.dtype),
            stack_array(like.dtype),
            stack_array(like.dtype),
        )
        x_offset, t_offset = offset_of(s.x, first), offset_of(s.targets, first)
        for j in range(count):
            own = c + j * lanes
            ahead = own + lanes if j + 1 < count else following
            prefetch_column(s.x, x_offset, ahead, rows)
            prefetch_column(s.targets, t_offset, ahead, rows)
            x = load_column(s.x, x_offset, own, rows, x_scratch)
            t = load_column(s.targets, t_offset, own, rows, t_scratch)
            targets = BinaryTargets(t, t, t, t, t)
            if weighted and not s.plain:
                weight, smoothing, weights = s.options[0], s.options[1], stack_array(like.dtype)
                if weight.size > s.tile.classes:  # rows of one element
                    repeat_weights(weight, first, weights[:rows])
                else:
                    fill(weights[:rows], weight[own] if weight.size else like.dtype.type(1))
                positive, negative = stack_array(like.dtype), stack_array(like.dtype)
                scaled_positive, scaled_negative = stack_array(like.dtype), stack_array(like.dtype)
                targets = BinaryTargets(t, positive, negative, scaled_positive, scaled_negative)
                weighted_targets(weights, smoothing, s.early, targets)
            terms = s.terms[j * tuning.TILE_ROWS :]
            write_elements(element, s.plain, x, targets, s.late, s.bounds, (terms, slopes), out)
            if out is not None:
                zero_masked(s.keep, first, rows, slopes)
                store_column(slopes[:rows], out, offset_of(out, first), own, ahead)
        if count == FOUR:
            add_four(s.terms, rows)
        total, lost = slot_of(s.tile.sums, slot, rows)
        add_column(s.terms[:rows], starts, total, lost)

    @block
    def add(s: _State, step: Any) -> None:
        add_columns(s, s.out, step)  # an argument of its own, for None is pruned there alone

    @block
    def work(tile: Tile, batch: Batch, options: Any, grad: Array | None) -> bool:
        kind, rows = tile.loss.dtype.type, tile.rows
        divisor = float(tile.classes) if mean else 1.0
        low, high = bounds(options)
        plain, heaviest = True, np.inf  # nothing is scaled early
        if weighted:
            plain = options[1] == 0.0 and options[0].size == 0
            if not plain:
                heaviest = heaviest_target(options[0])
        most, values = tuning.TILE_ROWS, tile.temporaries
        early, late = (values, values[most:]), (values[2 * most :], values[3 * most :])
        if tile.new_scale:
            n = rows if batch.scale.size > 1 else tile.most
            first, last = (early[0][:n], early[1][:n]), (late[0][:n], late[1][:n])
            broadcast_row_factors(tile.scale, n, divisor, heaviest, first, last)
        total, lost, terms = row_array(), row_array(), stack_block(tile.loss.dtype)
        state = _State(
            tile=tile,
            x=batch.x,
            targets=batch.targets,
            keep=batch.keep,
            options=options,
            plain=plain,
            bounds=(kind(low), kind(high)),
            out=None if grad is None else layout_of(grad, tile.loss),
            early=early,
            late=late,
            terms=terms,
        )
        sum_in_order(add, state, tile, (tile.sums,), ((total, lost),), terms)
        divide_sums(total, lost, divisor, tile.loss)
        return True

    return work
