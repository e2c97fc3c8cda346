"""Losses of Dask arrays: lazy values, losses of rows, gradients and summaries.

Nothing is computed before ``.compute()``. Each chunk of y_pred along the rows is one task, which
computes on one thread: a worker with several threads has as many tasks at once.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from operator import itemgetter
from typing import Any

try:
    import dask.array  # noqa: F401
except ModuleNotFoundError as error:
    raise ImportError(
        'fastloss.dask needs the packages dask and numpy: pip install "fastloss[dask]"'
    ) from error
import numpy as np
from dask.delayed import Delayed

from fastloss.accumulation.exact_sum import ExactSum
from fastloss.arguments.arrays import scalar
from fastloss.arguments.layout import Shape
from fastloss.dask.graph import Graph, Tasks
from fastloss.loss_base import Loss
from fastloss.out_of_core.class_scores import ScoreOptions
from fastloss.out_of_core.evaluation import Summary, output_dtype, summary_of
from fastloss.out_of_core.inputs import RowCounts
from fastloss.out_of_core.partial_summary import PartialSummary
from fastloss.out_of_core.parts import Task, part_chunk

__all__ = ["evaluate", "rows", "value", "value_and_grad"]


def evaluate(
    loss: Loss,
    y_true: Any,
    y_pred: Any,
    sample_weight: Any = None,
    mask: Any = None,
    *,
    groups: Any = None,
    worst: int = 0,
    top: tuple[int, ...] = (),
    bins: int = 15,
    brier: bool = False,
    block_rows: int | None = None,
) -> Delayed:
    """Return the summary that `fastloss evaluate` makes, lazily.

    Parameters
    ----------
    loss : Loss
        An instance of one of the five loss classes.
    y_true, y_pred, sample_weight, mask : dask array or array_like
        As for a call of the loss. y_pred is best chunked along its rows alone, by 16 to 256 MiB:
        the others are rechunked to its rows. Chunks that split the class axis are joined first,
        with a UserWarning that names the bytes; so are those of dense targets that differ.
    groups : dask array or array_like, optional
        A key for each row, an integer or a string, for losses by group.
    worst : int
        How many of the largest losses to name.
    top : tuple of int
        The numbers k of top-k accuracies.
    bins : int
        Bins of the calibration error.
    brier : bool
        Whether the Brier score is wanted.
    block_rows : int, optional
        Rows of a block, of which a chunk has one or many; by default as many as 4 MiB of
        predictions hold, at most 262,144.

    Returns
    -------
    Delayed
        Of a Summary: `value`, `counts`, `losses` (statistics of the rows), `scores`, `accuracy`,
        `groups`, as from one machine. `seconds` is the sum over all tasks.

    Raises
    ------
    ValueError, TypeError
        Here for shapes that do not match and arguments that are no arrays; from ``.compute()``
        for anything in the data, as labels that are not classes: the message names the row and the
        chunk.

    Notes
    -----
    The value has the bits of `fastloss evaluate` for any workers, and any chunks whose lengths are
    multiples of `block_rows`: losses are added up in float64 within a block, and exactly over
    blocks. With other chunks it differs by that rounding, usually by 1 ulp at most. Counts, the
    divisor, extremes, quantiles and worst rows do not depend on chunks at all. Scores and groups
    are added up in float64.

    Examples
    --------
    >>> import dask.array as da, fastloss as fl, fastloss.dask
    >>> logits = da.from_array([[2.0, 0.0], [0.0, 1.0], [0.0, 3.0]], chunks=(2, 2))
    >>> loss = fl.SparseCategoricalCrossentropy(from_logits=True)
    >>> summary = fl.dask.evaluate(loss, [0, 0, 1], logits, worst=1).compute(scheduler="threads")
    >>> print(f"{summary.value:.4f}, {summary.accuracy:.2f}, {summary.losses.worst()[0][0]}")
    0.4963, 0.67, 1
    """
    options = ScoreOptions(tuple(sorted(set(top))), bins, brier)
    task = Task(loss, options, worst, _positive(block_rows))
    graph = Graph(task, _given(y_true, y_pred, sample_weight, mask, groups))
    finish = partial(_summary, loss, graph.inputs.loss_shape, _output(graph))
    tasks, found = graph.each("summarize")
    return _finished(finish, graph.counts(), tasks.delayed(tasks.merge(found)))


def value(
    loss: Loss,
    y_true: Any,
    y_pred: Any,
    sample_weight: Any = None,
    mask: Any = None,
    *,
    block_rows: int | None = None,
) -> Delayed:
    """Return ``loss(y_true, y_pred, sample_weight, mask)``, lazily.

    Parameters
    ----------
    loss : Loss
        As for `evaluate`, with any reduction but None.
    y_true, y_pred, sample_weight, mask, block_rows
        As for `evaluate`.

    Returns
    -------
    Delayed
        Of a float64, or a scalar of the loss's dtype: the value of `evaluate`.

    Raises
    ------
    ValueError, TypeError
        As from `evaluate`, and for a loss that does not reduce.

    Examples
    --------
    >>> import dask.array as da, fastloss as fl, fastloss.dask
    >>> rates = da.from_array([[2.0, 1.0], [1.0, 4.0]], chunks=(1, 2))
    >>> lazy = fl.dask.value(fl.Poisson(), [[1.0, 1.0], [2.0, 2.0]], rates)
    >>> print(f"{lazy.compute(scheduler='threads'):.4f}")
    1.1338
    """
    graph = _reducing(loss, _given(y_true, y_pred, sample_weight, mask), block_rows)
    tasks, totals = graph.each("total")
    return _finished(partial(_value, loss), graph.counts(), tasks.delayed(tasks.merge(totals)))


def rows(
    loss: Loss,
    y_true: Any,
    y_pred: Any,
    sample_weight: Any = None,
    mask: Any = None,
    *,
    block_rows: int | None = None,
) -> Any:
    """Return the losses without a reduction, as a Dask array.

    Parameters
    ----------
    loss : Loss
        As for `evaluate`; its reduction is not used.
    y_true, y_pred, sample_weight, mask, block_rows
        As for `evaluate`.

    Returns
    -------
    dask array
        What the loss with the reduction None gives: weighted, and 0 where masked or ignored. Its
        chunks are those of y_pred along the rows.

    Raises
    ------
    ValueError, TypeError
        As from `evaluate`.

    Examples
    --------
    >>> import dask.array as da, fastloss as fl, fastloss.dask
    >>> p = da.from_array([[0.5, 0.5], [0.25, 0.75]], chunks=(1, 2))
    >>> found = fl.dask.rows(fl.SparseCategoricalCrossentropy(), [0, 1], p)
    >>> found.chunks, found.compute(scheduler="threads").round(4)
    (((1, 1),), array([0.6931, 0.2877]))
    """
    graph = Graph(
        Task(loss, block_rows=_positive(block_rows)), _given(y_true, y_pred, sample_weight, mask)
    )
    shape = graph.inputs.loss_shape
    places = [part_chunk(shape, part) for part in graph.parts]
    tasks, blocks = graph.each("rows")
    return tasks.array(blocks, places, _output(graph))


def value_and_grad(
    loss: Loss,
    y_true: Any,
    y_pred: Any,
    sample_weight: Any = None,
    mask: Any = None,
    *,
    block_rows: int | None = None,
) -> tuple[Delayed, Any]:
    """Return the value and its gradient with respect to y_pred, both lazily.

    Parameters
    ----------
    loss : Loss
        As for `evaluate`, with any reduction but None.
    y_true, y_pred, sample_weight, mask, block_rows
        As for `evaluate`.

    Returns
    -------
    value : Delayed
        As from `value`.
    grad : dask array
        Of the shape and chunks of y_pred, and the dtype of a call's gradient.

    Raises
    ------
    ValueError, TypeError
        As from `value`.

    Notes
    -----
    The gradient of a mean needs the divisor first: all weights and masks, and of sparse
    crossentropy all labels, are read before the first gradient is computed. Where y_pred is made
    together with them, as by one model, store them first, or chunks of y_pred wait in memory.
    Compute both results by one ``dask.compute(value, grad)``.

    Examples
    --------
    >>> import dask, dask.array as da, fastloss as fl, fastloss.dask
    >>> logits = da.zeros((2, 2), chunks=(1, 2))
    >>> loss = fl.BinaryCrossentropy(from_logits=True)
    >>> lazy = fl.dask.value_and_grad(loss, [[0, 1], [1, 1]], logits)
    >>> value, grad = dask.compute(*lazy, scheduler="threads")
    >>> print(f"{value:.4f}", grad.tolist())
    0.6931 [[0.125, -0.125], [-0.125, -0.125]]
    """
    graph = _reducing(loss, _given(y_true, y_pred, sample_weight, mask), block_rows)
    counts = graph.counts()
    tasks, found = graph.each("gradient", counts)
    total = tasks.merge([tasks.add(itemgetter(1), part) for part in found])
    grads = [tasks.add(itemgetter(0), part) for part in found]
    places = [place["y_pred"] for place in graph.places]
    grad = tasks.array(grads, places, _output(graph)).rechunk(graph.y_pred.chunks)
    return _finished(partial(_value, loss), counts, tasks.delayed(total)), grad


def _given(
    y_true: Any, y_pred: Any, sample_weight: Any, mask: Any, groups: Any = None
) -> dict[str, Any]:
    """Return the arguments by name."""
    return {
        "y_true": y_true,
        "y_pred": y_pred,
        "sample_weight": sample_weight,
        "mask": mask,
        "groups": groups,
    }


def _positive(block_rows: int | None) -> int | None:
    if block_rows is not None and block_rows < 1:
        raise ValueError(f"block_rows must be at least 1, got {block_rows}")
    return block_rows


def _reducing(loss: Loss, given: dict[str, Any], block_rows: int | None) -> Graph:
    """Return the graph of a loss that must give a number."""
    graph = Graph(Task(loss, block_rows=_positive(block_rows)), given)
    if loss.reduction in (None, "none"):
        raise ValueError(
            'loss must have the reduction "sum", "sum_over_batch_size" or'
            f' "mean_with_sample_weight": got {loss.reduction!r}, of which rows() gives the losses'
        )
    return graph


def _output(graph: Graph) -> Any:
    return output_dtype(graph.loss, graph.y_pred.dtype)


def _finished(finish: Any, counts: Delayed, found: Delayed) -> Delayed:
    tasks = Tasks("result", [counts, found])
    return tasks.delayed(tasks.add(finish, counts.key, found.key))


def _value(loss: Loss, counts: RowCounts, total: ExactSum) -> np.floating[Any]:
    found = replace(counts.seen, total=total).result(loss.reduction)
    dtype = loss._output_dtype
    return np.float64(found) if dtype is None else scalar(found, dtype)


def _summary(
    loss: Loss, shape: Shape, output: Any, counts: RowCounts, found: PartialSummary
) -> Summary:
    return summary_of(loss, shape, output, counts, found, found.seconds)
