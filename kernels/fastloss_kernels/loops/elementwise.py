"""Elementwise losses on blocks of contiguous rows; and the factory of all their parts.

Within a piece of a block the loop over elements is flat: no row starts or ends in it.
"""

from typing import Any

import numpy as np
from fastloss_kernels.compiler.jit import block, generic
from fastloss_kernels.loops.columns import Plan, any_layout
from fastloss_kernels.loops.elements import (
    broadcast_row_factors,
    divide_sums,
    heaviest_target,
    write_elements,
)
from fastloss_kernels.loops.elementwise_columns import add_elements, elementwise_tile
from fastloss_kernels.loops.row_inputs import Batch
from fastloss_kernels.loops.rows import rows_part
from fastloss_kernels.loops.targets import BinaryTargets, weighted_targets
from fastloss_kernels.memory.layout import piece_size
from fastloss_kernels.memory.rows import Block, load_block, temporary
from fastloss_kernels.memory.streaming import (
    chunk_size,
    prefetch_block,
    prefetch_chunk,
    write_chunk,
)
from fastloss_kernels.reductions.sum_columns import FOUR
from fastloss_kernels.reductions.sum_rows import add_rows
from fastloss_kernels.simd.raw_arrays import fill, memory, row_array, stacked
from fastloss_kernels.typing import Array

_TEMPORARIES = 10


@block
def _weights_from(weight: Array, b: Block, c: int) -> Array:
    """Return the weight of each element of a block from class `c` on: 1 where none are given.

    Repeated over the rows of the first block, which is the largest. Rows of several pieces are
    blocks by themselves.
    """
    if weight.size > piece_size(b.classes):
        return memory(weight, weight.dtype)[c:]
    weights = temporary(b, _TEMPORARIES - 1)
    if b.first == b.span.first and c == 0:
        fill(weights[: b.scratch.room], 1.0)
        if weight.size:
            for k in range(b.rows * b.classes):
                weights[k] = weight[k % weight.size]
    return weights


@generic
def _block(
    element: Any,
    weighted: bool,
    mean: bool,
    bounds: Any,
    b: Block,
    batch: Batch,
    options: Any,
    grad: Array | None,
) -> None:
    """Process a block; see `elementwise` for the first four arguments."""
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
    terms, factors, errors = temporary(b, 0), temporary(b, 1), temporary(b, 2)
    early = temporary(b, 3), temporary(b, 4)
    total, lost, slopes = row_array(), row_array(), stacked(b.loss.dtype)
    y = load_block(batch.targets, b.scratch.targets, b.first, b.span)
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
                t, temporary(b, 5), temporary(b, 6), temporary(b, 7), temporary(b, 8)
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


def elementwise(
    module: str, element: Any, bounds: Any, *, weighted: bool, mean: bool, prefix: str = ""
) -> tuple[Any, Any]:
    """Return the (rows, columns) parts of an elementwise loss.

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

    @block
    def block_work(b: Any, batch: Any, options: Any, grad: Any) -> None:
        _block(element, weighted, mean, bounds, b, batch, options, grad)

    @block
    def add_step(state: Any, out: Any, step: Any) -> None:
        add_elements(element, weighted, state, out, step)

    @block
    def add(state: Any, step: Any) -> None:
        add_step(state, state.out, step)  # typed by itself, so that `out` None is pruned there

    @block
    def tile_work(tile: Any, batch: Any, options: Any, grad: Any) -> bool:
        elementwise_tile(add, weighted, mean, bounds, tile, batch, options, grad)
        return True

    empty = np.nan if mean else 0.0
    rows = rows_part(
        module,
        f"{prefix}rows",
        block_work,
        temporaries=_TEMPORARIES,
        one_pass=True,
        empty=empty,
    )
    plan = Plan(FOUR, sums=1, temporaries=4, kept=False)
    return rows, any_layout(module, f"{prefix}columns", tile_work, plan, rows)
