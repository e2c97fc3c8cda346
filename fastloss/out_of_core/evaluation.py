"""Evaluation of a loss on files larger than memory, block by block.

There are two passes. The first reads labels, weights and mask, one number per row each: it checks
all labels, counts rows and computes the divisor of the reduction. The second reads the predictions
once and computes row losses, gradient and statistics.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastloss.accumulation.exact_sum import ZERO, ExactSum
from fastloss.arguments.arrays import FLOAT32, FLOAT64, result_dtype, scalar
from fastloss.arguments.layout import Shape
from fastloss.evaluate import evaluate
from fastloss.formats.chunks import Chunk, iter_chunks
from fastloss.formats.sinks import Sink, open_sink
from fastloss.loss_base import Loss
from fastloss.losses import BinaryCrossentropy, CategoricalCrossentropy
from fastloss.out_of_core.inputs import Inputs, RowCounts, RowInputs, count_rows
from fastloss.out_of_core.lazy_view import ChunkedArray
from fastloss.out_of_core.row_statistics import RowStatistics

BLOCK_BYTES = 1 << 24
"""Maximum size of the predictions of a block, unless a single row is larger."""
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
    accuracy: float | None
    """The fraction of those rows (binary: of their elements) whose most likely class is correct."""
    shape: Shape
    """The shape of the unreduced loss."""
    dtype: str
    """The dtype of the result."""
    bytes: int
    """Number of bytes that the second pass read."""
    seconds: float
    """Duration of the second pass, without compilation."""


def evaluate_in_blocks(
    loss: Loss,
    y_true: ChunkedArray,
    y_pred: ChunkedArray,
    sample_weight: ChunkedArray | None = None,
    mask: ChunkedArray | None = None,
    *,
    block_rows: int | None = None,
    worst: int = 0,
    rows_out: str | os.PathLike[str] | None = None,
    grad_out: str | os.PathLike[str] | None = None,
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
        Rows per block; by default as many as 16 MiB of predictions hold, at most 262,144.
    worst : int
        Number of rows with the largest losses to report.
    rows_out, grad_out : path, optional
        Files for the row losses and the gradient: .npy, .csv, .parquet, or "-" for CSV on standard
        output. The losses are unweighted, and 0 where masked or ignored. The gradient is that of
        the reduced loss, or of the sum without a reduction.
    progress : callable
        Called after each block with the bytes of its predictions.

    Raises
    ------
    ValueError, TypeError
        As from a call of the loss, for a file that changes while it is read, and for outputs that
        cannot be written. Existing outputs are then unchanged.
    """
    if block_rows is not None and block_rows < 1:
        raise ValueError(f"block_rows must be at least 1, got {block_rows}")
    inputs = Inputs(loss._spec, y_true, y_pred, sample_weight, mask)
    limit = block_rows or _default_block_rows(inputs)
    # A fixed block size here, so that the divisor does not depend on block_rows.
    counts = count_rows(inputs, loss.reduction, BLOCK_ROWS)
    empty = np.empty(0, y_pred.dtype)
    output = result_dtype(empty, empty) if loss._output_dtype is None else loss._output_dtype
    working = FLOAT64 if output == FLOAT64 else FLOAT32
    sinks: list[Sink | None] = [None, None]
    with ExitStack() as outputs:
        if rows_out is not None:
            rows_sink = open_sink(rows_out, inputs.loss_shape, working, "loss")
            sinks[0] = outputs.enter_context(rows_sink)
        if grad_out is not None:
            grad_sink = open_sink(grad_out, y_pred.shape, output, "gradient")
            sinks[1] = outputs.enter_context(grad_sink)
        second = _SecondPass(loss, inputs, counts.divisor, RowStatistics(worst), *sinks)
        second.warm_up()
        start = time.perf_counter()
        for chunk in iter_chunks(inputs.loss_shape, limit):
            progress(second.block(chunk))
        seconds = time.perf_counter() - start
    value = None
    if counts.divisor is not None:
        value = replace(counts.seen, total=second.total).result(loss.reduction)
        if loss._output_dtype is not None:
            value = float(scalar(value, loss._output_dtype))
    return Summary(
        value,
        counts,
        second.losses,
        second.accuracy(),
        inputs.loss_shape,
        output.name,
        second.bytes,
        seconds,
    )


def _default_block_rows(inputs: Inputs) -> int:
    row_bytes = max(1, inputs.layout.classes) * inputs.y_pred.dtype.itemsize
    return max(1, min(BLOCK_ROWS, BLOCK_BYTES // row_bytes))


class _SecondPass:
    """Row losses, gradient and statistics, block by block."""

    def __init__(
        self,
        loss: Loss,
        inputs: Inputs,
        divisor: float | None,
        losses: RowStatistics,
        rows: Sink | None,
        grad: Sink | None,
    ) -> None:
        self._loss, self._inputs = loss, inputs
        self._divisor = 1.0 if divisor is None else divisor
        self._rows, self._grad = rows, grad
        self._correct: list[float] = []
        self._row_count = 0
        self.total = ZERO
        self.losses = losses
        self.bytes = 0

    def warm_up(self) -> None:
        """Compile the kernel for the blocks by computing the first row."""
        first = next(iter_chunks(self._inputs.loss_shape, 1), None)
        if first is not None:
            self._compute(self._inputs.read(first), self._inputs.prediction_chunk(first))

    def block(self, chunk: Chunk) -> int:
        """Process one block; return the bytes of its predictions."""
        row_inputs = self._inputs.read(chunk)
        prediction_chunk = self._inputs.prediction_chunk(chunk)
        x, grad, rows = self._compute(row_inputs, prediction_chunk)
        plan = row_inputs.plan("sum")
        kept = np.flatnonzero(np.broadcast_to(plan.keep, rows.shape))
        self.losses.add(self._row_count + kept, rows[kept])
        self.total += ExactSum.of(float(plan.reduce(rows)))
        correct = _correct_rows(self._loss, row_inputs, x, self._inputs.axes)
        if correct is not None:
            self._correct.append(float(correct.reshape(-1)[kept].sum()))
        if self._rows is not None:
            self._rows.write(chunk, rows.reshape(row_inputs.shape))
        if self._grad is not None:
            grad = grad if self._divisor else np.zeros_like(grad)
            self._grad.write(self._inputs.y_pred.source_chunk(prediction_chunk), grad)
        self._row_count += rows.size
        others = (row_inputs.y_true, row_inputs.weight, row_inputs.mask)
        self.bytes += x.nbytes + sum(a.nbytes for a in others if a is not None)
        return x.nbytes

    def _compute(
        self, row_inputs: RowInputs, prediction_chunk: Chunk
    ) -> tuple[NDArray[Any], Any, NDArray[Any]]:
        """Return the predictions of a block, their gradient (or None) and the row losses."""
        x = self._inputs.y_pred[prediction_chunk]
        reciprocal = 1.0 / self._divisor if self._divisor else 0.0
        _, grad, rows = evaluate(
            row_inputs.spec,
            row_inputs.y_true,
            x,
            row_inputs.weight,
            row_inputs.mask,
            reduction="sum",
            upstream=None if self._grad is None else reciprocal,
            dtype=self._loss._output_dtype,
            gradient=self._grad is not None,
        )
        return x, grad, rows

    def accuracy(self) -> float | None:
        """Return the fraction of correct rows, None for a loss without classes."""
        count = self.losses.count + self.losses.nan_rows
        return sum(self._correct) / count if self._correct and count else None


def _correct_rows(
    loss: Loss, row_inputs: RowInputs, x: NDArray[Any], axes: tuple[int, ...]
) -> NDArray[Any] | None:
    """Return for each row whether its most likely class is correct, or which fraction is."""
    if x.size == 0:
        return None
    correct: NDArray[Any] | None = None
    if isinstance(loss, BinaryCrossentropy):
        threshold = 0.0 if loss.from_logits else 0.5
        correct = np.mean((x > threshold) == (row_inputs.y_true > 0.5), axis=axes)
    elif row_inputs.labels is not None:
        correct = np.argmax(x, axes[0]).reshape(-1) == row_inputs.labels.ids
    elif isinstance(loss, CategoricalCrossentropy):
        correct = np.argmax(x, axes[0]) == np.argmax(row_inputs.y_true, axes[0])
    return correct
