"""Elementwise losses on blocks of contiguous rows; and the factory of all their parts.

Within a piece of a block the loop over elements is flat: no row starts or ends in it.
"""

from typing import Any

import numpy as np
from fastloss_kernels.compiler.jit import block, called
from fastloss_kernels.loops.columns import Plan, any_layout
from fastloss_kernels.loops.elements import (
    broadcast_row_factors,
    divide_sums,
    heaviest_target,
    repeat_weights,
    write_elements,
)
from fastloss_kernels.loops.elementwise_columns import tile_function
from fastloss_kernels.loops.packed import packed_part
from fastloss_kernels.loops.row_inputs import Batch
from fastloss_kernels.loops.rows import rows_part
from fastloss_kernels.loops.targets import BinaryTargets, weighted_targets
from fastloss_kernels.memory.layout import piece_size
from fastloss_kernels.memory.rows import Block, load_block
from fastloss_kernels.memory.streaming import (
    chunk_size,
    prefetch_block,
    prefetch_chunk,
    write_chunk,
)
from fastloss_kernels.reductions.sum_columns import FOUR
from fastloss_kernels.reductions.sum_rows import add_rows
from fastloss_kernels.simd.raw_arrays import fill, flat_view, row_array, stack_array
from fastloss_kernels.typing import Array

_TEMPORARIES = 10


@called
def _weights_from(weight: Array, b: Block, c: int) -> Array:
    """Return the weight of each element of a block from class `c` on: 1 where none are given.

    Weights repeat over the elements of all rows. One for each class is the same in every block,
    so the first one, which is the largest, sets it for all. Rows of several pieces are blocks by
    themselves.
    """
    if b.classes > piece_size(b.classes) and weight.size:
        return flat_view(weight, weight.dtype)[c:]
    weights = b.scratch.temporaries[(_TEMPORARIES - 1) * b.scratch.room :]
    if weight.size > b.classes or (b.starts and c == 0):
        if weight.size:
            repeat_weights(weight, b.first * b.classes, weights[: b.rows * b.classes])
        else:
            fill(weights[: b.scratch.room], 1.0)
    return weights


def _block_function(element: Any, bounds: Any, weighted: bool, mean: bool) -> Any:
    """Return the block function of an elementwise loss; see `elementwise`."""

    @block
    def work(b: Block, batch: Batch, options: Any, grad: Array | None) -> None:
        kind = b.loss.dtype.type
        rows, classes, piece = b.rows, b.classes, piece_size(b.classes)
        divisor = float(classes) if mean else 1.0
        low, high = bounds(options)
        plain, heaviest = True, np.inf  # nothing is scaled early
        if weighted:
            weight, smoothing = options[0], options[1]
            plain = smoothing == 0.0 and weight.size == 0
            if not plain:
                heaviest = heaviest_target(weight)
        room, arrays = b.scratch.room, b.scratch.temporaries
        terms, factors, errors = arrays, arrays[room:], arrays[2 * room :]
        early = arrays[3 * room :], arrays[4 * room :]
        total, lost, slopes = row_array(), row_array(), stack_array(b.loss.dtype)
        y = load_block(batch.targets, b.first, rows, b.scratch.targets)
        x_ahead = prefetch_block(batch.x, b.first, rows)
        t_ahead = prefetch_block(batch.targets, b.first, rows)
        if b.new_scale:
            size = rows * min(piece, classes)
            late = factors[:size], errors[:size]
            first = early[0][:size], early[1][:size]
            broadcast_row_factors(b.scale, rows, divisor, heaviest, first, late)
        for c in range(0, classes, piece):
            size = rows * min(piece, classes - c)
            t = y[c : c + size]
            targets = BinaryTargets(t, t, t, t, t)
            if weighted and not plain:
                targets = BinaryTargets(
                    t,
                    arrays[5 * room :],
                    arrays[6 * room :],
                    arrays[7 * room :],
                    arrays[8 * room :],
                )
                weighted_targets(_weights_from(weight, b, c), smoothing, early, targets)
            k = 0
            while k < size:
                n = chunk_size(b.out, c + k, size - k)
                prefetch_chunk(x_ahead, c + k)
                prefetch_chunk(t_ahead, c + k)
                t, yes, no, scaled_yes, scaled_no = targets
                write_elements(
                    element,
                    plain,
                    b.x[c + k : c + k + n],
                    BinaryTargets(t[k:], yes[k:], no[k:], scaled_yes[k:], scaled_no[k:]),
                    (factors[k:], errors[k:]),
                    (kind(low), kind(high)),
                    (terms[k:], slopes),
                    grad,
                )
                if grad is not None:
                    write_chunk(slopes, b.out[c + k :], n, b.streamed)
                k += n
            add_rows(terms[:size], rows, c == 0, total, lost)
        divide_sums(total, lost, divisor, b.loss)

    return work


def elementwise(
    module: str, element: Any, bounds: Any, *, weighted: bool, mean: bool, prefix: str = ""
) -> tuple[Any, Any, Any]:
    """Return the (rows, packed, columns) parts of an elementwise loss.

    Parameters
    ----------
    module : str
        The loss's module, ``__name__``: with the `prefix` its parts are known by it.
    element : block function
        What is computed of one element; see `elements`.
    bounds : block function
        ``bounds(options)`` returns `low` and `high`, which `element` receives.
    weighted : bool
        Whether the options begin with (pos_weight, smoothing).
    mean : bool
        Whether a row's loss is the mean of its terms, not their sum.
    """
    work = _block_function(element, bounds, weighted, mean)
    tile_work = tile_function(element, bounds, weighted, mean)
    empty = np.nan if mean else 0.0
    rows = rows_part(
        module,
        f"{prefix}rows",
        work,
        temporaries=_TEMPORARIES,
        one_pass=True,
        empty=empty,
    )
    plan = Plan(FOUR, sums=1, temporaries=4, kept=False)
    packed = packed_part(module, f"{prefix}packed", rows)
    return rows, packed, any_layout(module, f"{prefix}columns", tile_work, plan, packed)
