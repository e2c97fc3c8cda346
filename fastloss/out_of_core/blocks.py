"""The second pass over a data set: blocks of predictions, computed by several threads in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from fastloss_kernels.launch import single_threaded
from numpy.typing import NDArray

from fastloss.evaluate import evaluate
from fastloss.formats.chunks import Chunk, iter_chunks
from fastloss.loss_base import Loss
from fastloss.out_of_core.class_scores import Predictions, ScoreOptions, Scores, predictions
from fastloss.out_of_core.inputs import Inputs, RowInputs
from fastloss.reduction import ReductionPlan

Task = TypeVar("Task")
Result = TypeVar("Result")

AHEAD = 2
"""How many tasks a thread is ahead of the results, so that it need not wait for them."""


@dataclass(frozen=True)
class Block:
    """What was computed of one block."""

    chunk: Chunk
    """Of the unreduced loss."""
    y_pred_chunk: Chunk
    """Of y_pred and of its gradient, whose axes it has."""
    losses: NDArray[Any]
    """(rows,): unweighted, 0 in rows that do not count."""
    plan: ReductionPlan
    """Weights and masks of the rows; its reduction is "sum"."""
    kept: Any
    """The rows that count: an index of `losses`."""
    weight: NDArray[Any] | None
    """(rows,): their sample weights; None: 1."""
    total: float
    """The sum of the weighted losses."""
    grad: Any
    """The gradient of the reduced loss, or None."""
    predictions: Predictions | None
    """Of all rows; None for a loss without classes."""
    scores: Scores | None
    """Of the rows that count."""
    bytes_read: int
    """Of the predictions and all other inputs."""
    prediction_bytes: int


class SecondPass:
    """Row losses, gradient and scores of blocks.

    Each block is computed by one thread while its predictions are in that core's caches. The blocks
    come in order, and at most a few of them exist at a time.

    Parameters
    ----------
    loss, inputs
        What is computed, of what.
    divisor : float or None
        The gradient is that of the weighted losses' sum divided by it; None: no gradient.
    options : ScoreOptions or None
        What else is computed of the predictions; None: nothing.
    """

    def __init__(
        self,
        loss: Loss,
        inputs: Inputs,
        divisor: float | None,
        options: ScoreOptions | None,
    ) -> None:
        self._loss, self._inputs, self._options = loss, inputs, options
        self._upstream = divisor and 1.0 / divisor  # None and 0 stay as they are

    def warm_up(self) -> None:
        """Compile what blocks need, by computing the first row."""
        for chunk in iter_chunks(self._inputs.loss_shape, 1):
            self._compute(self._read(chunk))
            break

    def blocks(self, chunks: Iterable[Chunk], threads: int) -> Iterator[Block]:
        """Yield the blocks of some chunks of the losses, computed by so many threads."""
        yield from in_order(self._compute, map(self._read, chunks), threads)

    def _read(self, chunk: Chunk) -> tuple[Chunk, RowInputs, NDArray[Any]]:
        """Return the inputs of a block; pages of mapped predictions are not touched."""
        x = self._inputs.y_pred[self._inputs.prediction_chunk(chunk)]
        return chunk, self._inputs.read(chunk), x

    def _compute(self, task: tuple[Chunk, RowInputs, NDArray[Any]]) -> Block:
        chunk, given, x = task
        _, grad, losses = evaluate(
            given.spec,
            given.y_true,
            x,
            given.weight,
            given.mask,
            reduction="sum",
            upstream=self._upstream,
            dtype=self._loss._output_dtype,
            gradient=self._upstream is not None,
        )
        if self._upstream == 0.0:
            grad = np.zeros_like(grad)  # also where a loss is infinite
        plan = given.plan("sum")
        kept: Any = slice(None)
        if not plan.keep.all():
            kept = np.flatnonzero(np.broadcast_to(plan.keep, losses.shape))
        weight = None if given.weight is None else given.weight.astype(np.float64).reshape(-1)
        others = (given.y_true, given.weight, given.mask)
        found = scores = None
        if self._options is not None:
            with np.errstate(all="ignore"):
                found = predictions(self._loss, given, x, self._inputs.axes, losses, self._options)
                scores = None if found is None else Scores.of(found, kept, weight, self._options)
        return Block(
            chunk,
            self._inputs.y_pred.source_chunk(self._inputs.prediction_chunk(chunk)),
            losses,
            plan,
            kept,
            weight,
            float(plan.reduce(losses)),
            grad,
            found,
            scores,
            x.nbytes + sum(a.nbytes for a in others if a is not None),
            x.nbytes,
        )


def in_order(
    function: Callable[[Task], Result], tasks: Iterable[Task], workers: int
) -> Iterator[Result]:
    """Yield the results of `function` for each task, in order, computed by `workers` threads.

    Tasks are taken from the iterable in this thread, at most `AHEAD` a worker ahead of the results.
    A single worker is this thread itself.
    """
    if workers == 1:
        yield from (_alone(function, task) for task in tasks)
        return
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers, "fastloss") as pool:
        try:
            for task in tasks:
                waiting.append(pool.submit(_alone, function, task))
                if len(waiting) > AHEAD * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _alone(function: Callable[[Task], Result], task: Task) -> Result:
    with single_threaded():
        return function(task)
