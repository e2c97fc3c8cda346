"""The summary of an evaluation of Dask arrays."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastloss.arguments.layout import Shape
from fastloss.dask.graph import Graph, Tasks
from fastloss.loss_base import Loss
from fastloss.out_of_core.class_scores import ScoreOptions
from fastloss.out_of_core.evaluation import Summary, summary_of
from fastloss.out_of_core.inputs import RowCounts
from fastloss.out_of_core.partial_summary import PartialSummary
from fastloss.out_of_core.parts import Task


def evaluate(
    loss: Loss[Any],
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
) -> Any:
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
    task = Task(loss, options, worst, block_rows)
    graph = Graph(task, y_true, y_pred, sample_weight, mask, groups)
    finish = partial(_summary, loss, graph.inputs.loss_shape, graph.output)
    tasks, found = graph.each("summarize")
    counts, both = graph.counts(), tasks.delayed(tasks.merge(found))
    result = Tasks("summary", [counts, both])
    return result.delayed(result.add(finish, counts.key, both.key))


def _summary(
    loss: Loss, shape: Shape, output: Any, counts: RowCounts, found: PartialSummary
) -> Summary:
    return summary_of(loss, shape, output, counts, found, found.seconds)
