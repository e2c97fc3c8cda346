"""Evaluation of a loss on files larger than memory, block by block.

There are two passes. The first reads labels, weights and mask, one number per row each: it checks
all labels, counts rows and computes the divisor of the reduction. The second reads the predictions
once and computes row losses, gradient and statistics.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from numba import get_num_threads

from fastloss.accumulation.partial_loss import PartialLoss
from fastloss.arguments.arrays import DType, scalar
from fastloss.arguments.layout import Shape
from fastloss.formats.chunks import iter_chunks
from fastloss.formats.reader import Reader
from fastloss.formats.sinks import open_sink
from fastloss.loss_base import Loss
from fastloss.out_of_core.blocks import SecondPass
from fastloss.out_of_core.class_scores import DEFAULT_SCORES, ScoreOptions, Scores
from fastloss.out_of_core.groups import GroupTotals, group_keys
from fastloss.out_of_core.inputs import Inputs, RowCounts, count_rows
from fastloss.out_of_core.lazy_view import ChunkedArray
from fastloss.out_of_core.memory import (
    Blocks,
    cost_of_a_row,
    fitting_blocks,
    fixed_bytes,
    pages_kept,
)
from fastloss.out_of_core.outputs import Outputs, open_outputs, output_dtype
from fastloss.out_of_core.partial_summary import PartialSummary
from fastloss.out_of_core.row_statistics import RowStatistics
from fastloss.out_of_core.summary_html import summary_html

BLOCK_BYTES = 1 << 22
"""Maximum size of the predictions of a block, unless a single row is larger: what the caches keep
for a second look, and many times what it costs to begin a block."""
BLOCK_ROWS = 1 << 18
"""Maximum number of rows of a block; labels, weights and losses take some 60 bytes per row."""


@dataclass(frozen=True)
class Summary:
    """The result of an evaluation."""

    value: float | None
    """The reduced loss, rounded to the loss's `dtype` if it has one; None without a reduction."""
    counts: RowCounts
    losses: RowStatistics
    """Of the rows that are not masked, ignored or of weight 0; before weights are applied."""
    scores: Scores | None
    """What else the predictions say in those rows; None for a loss without classes."""
    groups: GroupTotals | None
    """The sums of each group; None without groups."""
    seen: PartialLoss
    """Of all rows, with the sum of their weighted losses."""
    shape: Shape
    """The shape of the unreduced loss."""
    dtype: str
    """The dtype of the result."""
    bytes: int
    """Number of bytes that the second pass read."""
    seconds: float
    """Duration of the second pass, without compilation."""

    @property
    def mean_loss(self) -> float | None:
        """The mean of the row losses by weights, whatever the reduction; None without rows."""
        return self.seen.result("mean_with_sample_weight") if self.seen.weight_sum else None

    @property
    def accuracy(self) -> float | None:
        """The share of correct rows (binary: of elements) by weight; None without classes."""
        return None if self.scores is None else self.scores.share(self.scores.correct)

    def _repr_html_(self) -> str:
        return summary_html(self)


def evaluate_in_blocks(
    loss: Loss[Any],
    y_true: ChunkedArray,
    y_pred: ChunkedArray,
    sample_weight: ChunkedArray | None = None,
    mask: ChunkedArray | None = None,
    *,
    block_rows: int | None = None,
    worst: int = 0,
    rows_out: str | os.PathLike[str] | None = None,
    grad_out: str | os.PathLike[str] | None = None,
    groups: ChunkedArray | None = None,
    options: ScoreOptions = DEFAULT_SCORES,
    max_memory: int | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Summary:
    """Return ``loss(y_true, y_pred, sample_weight, mask)`` and statistics, block by block.

    Parameters
    ----------
    loss : Loss
        The loss and its reduction.
    y_true, y_pred, sample_weight, mask : array or Reader
        As for a call of the loss.
    block_rows : int, optional
        Rows per block; by default as many as 4 MiB of predictions hold, at most 262,144.
    worst : int
        Number of rows with the largest losses to report.
    rows_out, grad_out : path, optional
        Files for the row losses and the gradient: .npy, .csv, .parquet, or "-" for CSV on standard
        output. The losses are unweighted, and 0 where masked or ignored. The gradient is that of
        the reduced loss, or of the sum without a reduction.
    groups : array or Reader, optional
        A key for each row, an integer or a string, for losses by group. Its shape is that of the
        unreduced loss, which may have more axes.
    options : ScoreOptions
        What else is computed of the predictions.
    max_memory : int, optional
        Bytes that the whole process shall stay below: blocks are smaller then, or computed by fewer
        threads. Kernels that are compiled for the first time may take more, and so may files whose
        chunks or row groups are large.
    progress : callable
        Called with 0 when kernels are loaded, and after each block with the bytes of its
        predictions.

    Raises
    ------
    ValueError, TypeError
        As from a call of the loss, for a file that changes while it is read, and for outputs that
        cannot be written. Existing outputs are then unchanged. For a `max_memory` that is too
        little, which names the least.
    """
    if block_rows is not None and block_rows < 1:
        raise ValueError(f"block_rows must be at least 1, got {block_rows}")
    inputs = Inputs(loss._spec, y_true, y_pred, sample_weight, mask)
    keys = None if groups is None else group_keys(groups, inputs.loss_shape)
    files = [y_true, y_pred, sample_weight, mask, groups]
    readers = [source for source in files if isinstance(source, Reader)]
    if max_memory is not None:
        for reader in readers:
            reader.keep_pages(pages_kept(max_memory))
    # A fixed block size here, so that the divisor does not depend on block_rows.
    chunks = iter_chunks(inputs.loss_shape, BLOCK_ROWS)
    counts = count_rows(inputs, chunks).of_all(loss.reduction)
    paths: Outputs[str | os.PathLike[str]] = Outputs(rows_out, grad_out)
    with open_outputs(loss, inputs.loss_shape, y_pred, paths, open_sink) as outputs:
        divisor = None if grad_out is None else counts.divisor_of_gradient
        second = SecondPass(loss, inputs, divisor, options)
        second.warm_up()
        plan = Blocks(block_rows or default_block_rows(inputs), get_num_threads())
        if max_memory is not None:
            cost = cost_of_a_row(loss, inputs, grad_out is not None, options)
            fixed = fixed_bytes(counts.rows, groups is not None)
            plan = fitting_blocks(max_memory, plan, row_bytes(inputs), cost, fixed, len(readers))
        progress(0)
        found = PartialSummary.empty(worst, keys)
        chunks = iter_chunks(inputs.loss_shape, plan.rows)
        found.add_all(second.blocks(chunks, plan.workers), outputs, progress)
    output = output_dtype(loss, y_pred.dtype)
    return summary_of(loss, inputs.loss_shape, output, counts, found, found.seconds)


def summary_of(
    loss: Loss,
    shape: Shape,
    output: DType,
    counts: RowCounts,
    found: PartialSummary,
    seconds: float,
) -> Summary:
    """Return the summary of what the two passes found in all rows."""
    seen = replace(counts.seen, total=found.total)
    value = None
    if counts.divisor is not None:
        value = seen.result(loss.reduction)
        if loss._output_dtype is not None:
            value = float(scalar(value, loss._output_dtype))
    return Summary(
        value,
        counts,
        found.losses,
        found.scores,
        found.groups,
        seen,
        shape,
        output.name,
        found.read,
        seconds,
    )


def default_block_rows(inputs: Inputs) -> int:
    """Return how many rows a block has."""
    return max(1, min(BLOCK_ROWS, BLOCK_BYTES // row_bytes(inputs)))


def row_bytes(inputs: Inputs) -> int:
    """Return the bytes of the predictions of a row."""
    return max(1, inputs.layout.classes) * inputs.y_pred.dtype.itemsize
