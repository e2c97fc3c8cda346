"""A loss over files too large for memory: block by block, in bounded memory.

Two passes. The first reads labels, weights and mask, which are one number a row: it checks every
label, counts, and finds what the sum is divided by. The second reads the predictions; rows,
gradient and statistics come from that one look at them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastloss.arrays import FLOAT32, FLOAT64, result_dtype
from fastloss.evaluate import evaluate as evaluate_block
from fastloss.layout import Shape
from fastloss.loss_base import Loss
from fastloss.losses import BinaryCrossentropy, CategoricalCrossentropy
from fastloss.out_of_core.chunks import Box, boxes
from fastloss.out_of_core.inputs import Counts, Inputs, Part, count
from fastloss.out_of_core.lazy_view import Boxed
from fastloss.out_of_core.npy_files import Sink
from fastloss.out_of_core.row_statistics import RowStatistics
from fastloss.reduction import float_sum

BLOCK_BYTES = 1 << 24
"""The predictions of a block take at most this, unless a single row takes more."""
BLOCK_ROWS = 1 << 18
"""And a block has at most so many rows: labels, weights and the like take some 60 bytes each."""


@dataclass(frozen=True)
class Summary:
    """What an evaluation finds."""

    value: float | None
    """The reduced loss, rounded to `dtype`; None where it is not reduced."""
    counts: Counts
    losses: RowStatistics
    """Of the rows that are neither masked nor ignored nor of weight 0; before weights."""
    accuracy: float | None
    """The share of those rows (binary: of their elements) whose likeliest class is right."""
    shape: Shape
    """Of the unreduced loss."""
    dtype: str
    """The type of the result."""
    bytes: int
    """What the second pass read."""
    seconds: float
    """How long it took; compilation does not count."""


def evaluate(
    loss: Loss,
    y_true: Boxed,
    y_pred: Boxed,
    sample_weight: Boxed | None = None,
    mask: Boxed | None = None,
    *,
    block_rows: int | None = None,
    worst: int = 0,
    rows_out: str | os.PathLike[str] | None = None,
    grad_out: str | os.PathLike[str] | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Summary:
    """Return what ``loss(y_true, y_pred, sample_weight, mask)`` is, and more, block by block.

    Parameters
    ----------
    loss : Loss
        What to compute, and under which reduction.
    y_true, y_pred, sample_weight, mask : array or Source
        As for a call of the loss, but for one case: the single loss of rank-1 predictions does
        not spread over a weight or mask of many elements.
    block_rows : int, optional
        Rows of a block; by default as many as make 16 MiB of predictions, at most 262,144.
    worst : int
        How many of the largest losses to remember.
    rows_out, grad_out : path, optional
        .npy files for the losses before weights, 0 where masked or ignored, and for the gradient
        of the reduced loss (that of the sum, where it is not reduced).
    progress : callable
        Told how many bytes of predictions each block had.

    Raises
    ------
    ValueError, TypeError
        As from a call of the loss, for a file that changes while it is read, and for outputs that
        cannot be written. Outputs are then as they were.
    """
    if block_rows is not None and block_rows < 1:
        raise ValueError(f"block_rows must be at least 1, got {block_rows}")
    inputs = Inputs(loss._recipe, y_true, y_pred, sample_weight, mask)
    limit = block_rows or _rows_of_a_block(inputs)
    counts = count(inputs, loss.reduction, BLOCK_ROWS)  # so the divisor knows no block size
    like = np.empty(0, y_pred.dtype)
    output = result_dtype(like, like) if loss._output is None else loss._output
    working = FLOAT64 if output == FLOAT64 else FLOAT32
    sinks: list[Sink | None] = [None, None]
    with ExitStack() as outputs:
        if rows_out is not None:
            sinks[0] = outputs.enter_context(Sink(rows_out, inputs.shape, working))
        if grad_out is not None:
            sinks[1] = outputs.enter_context(Sink(grad_out, y_pred.shape, output))
        second = _SecondPass(loss, inputs, counts.divisor, RowStatistics(worst), *sinks)
        second.warm_up()
        start = time.perf_counter()
        for box in boxes(inputs.shape, limit):
            progress(second.block(box))
        seconds = time.perf_counter() - start
    with np.errstate(over="ignore", under="ignore"):
        value = None if counts.divisor is None else float(output.type(second.mean()))
    return Summary(
        value,
        counts,
        second.losses,
        second.accuracy(),
        inputs.shape,
        output.name,
        second.bytes,
        seconds,
    )


def _rows_of_a_block(inputs: Inputs) -> int:
    row = max(1, inputs.form.form[1]) * inputs.y_pred.dtype.itemsize
    return max(1, min(BLOCK_ROWS, BLOCK_BYTES // row))


class _SecondPass:
    """Rows, gradient and statistics, block after block."""

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
        self._sums: list[float] = []
        self._right: list[float] = []
        self._seen = 0
        self.losses = losses
        self.bytes = 0

    def warm_up(self) -> None:
        """Compile what the blocks need, by computing the first row."""
        first = next(boxes(self._inputs.shape, 1), None)
        if first is not None:
            self._compute(self._inputs.part(first), self._inputs.predictions(first))

    def block(self, box: Box) -> int:
        """Take in one block; return the bytes of its predictions."""
        part, place = self._inputs.part(box), self._inputs.predictions(box)
        x, grad, rows = self._compute(part, place)
        plan = part.plan("sum")
        kept = np.flatnonzero(np.broadcast_to(plan.keep, rows.shape))
        self.losses.add(self._seen + kept, rows[kept])
        self._sums.append(float(plan.result(rows)))
        right = _right(self._loss, part, x, self._inputs.axes)
        if right is not None:
            self._right.append(float(right.reshape(-1)[kept].sum()))
        if self._rows is not None:
            self._rows.write(box, rows.reshape(part.shape))
        if self._grad is not None:
            share = grad if self._divisor else np.zeros_like(grad)
            self._grad.write(self._inputs.y_pred.part(place), share)
        self._seen += rows.size
        others = (part.y_true, part.weight, part.mask)
        self.bytes += x.nbytes + sum(a.nbytes for a in others if a is not None)
        return x.nbytes

    def _compute(self, part: Part, place: Box) -> tuple[NDArray[Any], Any, NDArray[Any]]:
        """Return the predictions of a block, their gradient if it is asked for, and the losses."""
        x = self._inputs.y_pred[place]
        share = 1.0 / self._divisor if self._divisor else 0.0
        _, grad, rows = evaluate_block(
            self._loss._recipe,
            part.y_true,
            x,
            part.weight,
            part.mask,
            reduction="sum",
            upstream=None if self._grad is None else share,
            dtype=self._loss._output,
            gradient=self._grad is not None,
        )
        return x, grad, rows

    def mean(self) -> float:
        """Return the sum of the weighted losses over the divisor, as `Plan.result` does."""
        return float_sum(np.array(self._sums)) / self._divisor if self._divisor else 0.0

    def accuracy(self) -> float | None:
        """Return the share of right rows, None where the loss knows no classes."""
        count = self.losses.count + self.losses.nan_rows
        return sum(self._right) / count if self._right and count else None


def _right(loss: Loss, part: Part, x: NDArray[Any], axes: tuple[int, ...]) -> NDArray[Any] | None:
    """Return for each row whether its likeliest class is right, or the share of its elements."""
    if x.size == 0:
        return None
    right: NDArray[Any] | None = None
    if isinstance(loss, BinaryCrossentropy):
        even = 0.0 if loss.from_logits else 0.5
        right = np.mean((x > even) == (part.y_true > 0.5), axis=axes)
    elif part.labels is not None:
        right = np.argmax(x, axes[0]).reshape(-1) == part.labels.ids
    elif isinstance(loss, CategoricalCrossentropy):
        right = np.argmax(x, axes[0]) == np.argmax(part.y_true, axes[0])
    return right
