"""Values, losses of rows and gradients of Dask arrays."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from operator import itemgetter
from typing import Any

import dask.array as da
import numpy as np
from dask.delayed import Delayed

from fastloss.accumulation.exact_sum import ExactSum
from fastloss.arguments.arrays import scalar
from fastloss.dask.graph import Graph, Tasks
from fastloss.loss_base import Loss
from fastloss.out_of_core.inputs import RowCounts
from fastloss.out_of_core.parts import Task, part_chunk


def value(
    loss: Loss,
    y_true: Any,
    y_pred: Any,
    sample_weight: Any = None,
    mask: Any = None,
    *,
    block_rows: int | None = None,
) -> da.Array:
    """Return ``loss(y_true, y_pred, sample_weight, mask)``, lazily.

    Parameters
    ----------
    loss : Loss
        As for `evaluate`, with any reduction but None.
    y_true, y_pred, sample_weight, mask, block_rows
        As for `evaluate`.

    Returns
    -------
    dask array
        Of rank 0: a float64, or of the loss's dtype; the value of `evaluate`.

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
    1.1336
    """
    graph = _reducing(loss, block_rows, y_true, y_pred, sample_weight, mask)
    tasks, totals = graph.each("total")
    return _number(loss, graph.counts(), tasks.delayed(tasks.merge(totals)))


def rows(
    loss: Loss[Any],
    y_true: Any,
    y_pred: Any,
    sample_weight: Any = None,
    mask: Any = None,
    *,
    block_rows: int | None = None,
) -> da.Array:
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
    graph = Graph(Task(loss, block_rows=block_rows), y_true, y_pred, sample_weight, mask)
    shape = graph.inputs.loss_shape
    places = [part_chunk(shape, part) for part in graph.parts]
    tasks, blocks = graph.each("rows")
    return tasks.array(blocks, places, graph.output)


def value_and_grad(
    loss: Loss,
    y_true: Any,
    y_pred: Any,
    sample_weight: Any = None,
    mask: Any = None,
    *,
    block_rows: int | None = None,
) -> tuple[da.Array, da.Array]:
    """Return the value and its gradient with respect to y_pred, both lazily.

    Parameters
    ----------
    loss : Loss
        As for `evaluate`, with any reduction but None.
    y_true, y_pred, sample_weight, mask, block_rows
        As for `evaluate`.

    Returns
    -------
    value : dask array
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
    graph = _reducing(loss, block_rows, y_true, y_pred, sample_weight, mask)
    counts = graph.counts()
    tasks, found = graph.each("gradient", counts)
    total = tasks.merge([tasks.add(itemgetter(1), part) for part in found])
    grads = [tasks.add(itemgetter(0), part) for part in found]
    places = [place["y_pred"] for place in graph.places]
    grad = tasks.array(grads, places, graph.output).rechunk(graph.y_pred.chunks)
    return _number(loss, counts, tasks.delayed(total)), grad


def _reducing(loss: Loss, block_rows: int | None, *arrays: Any) -> Graph:
    """Return the graph of a loss that must give a number."""
    graph = Graph(Task(loss, block_rows=block_rows), *arrays)
    if loss.reduction in (None, "none"):
        raise ValueError(
            'loss must have the reduction "sum", "sum_over_batch_size" or'
            f' "mean_with_sample_weight": got {loss.reduction!r}, of which rows() gives the losses'
        )
    return graph


def _number(loss: Loss, counts: Delayed, total: Delayed) -> da.Array:
    """Return the value of rank 0: Dask computes it with the gradient, as both are arrays."""
    tasks = Tasks("value", [counts, total])
    key = tasks.add(partial(_value, loss), counts.key, total.key)
    return tasks.array([key], [()], loss._output_dtype or np.dtype(np.float64))


def _value(loss: Loss, counts: RowCounts, total: ExactSum) -> np.floating[Any]:
    found = replace(counts.seen, total=total).result(loss.reduction)
    dtype = loss._output_dtype
    return np.float64(found) if dtype is None else scalar(found, dtype)
