"""Losses by group: sums of the rows that have the same key, in memory for the groups alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastloss.formats.reader import errors_with_row_counts
from fastloss.out_of_core.blocks import Block
from fastloss.out_of_core.lazy_view import ChunkedArray, LazyView
from fastloss.reduction import weighted_losses

Floats = NDArray[np.float64]
_SUMS = ("total", "lost", "count", "weight_sum", "sample_weight", "correct")


def group_keys(groups: ChunkedArray, loss_shape: tuple[int, ...]) -> LazyView:
    """Return the key of each loss: those of `groups`, or of rows that have losses in further axes.

    Raises ValueError if they do not fit.
    """
    shape = groups.shape
    if shape != loss_shape[: len(shape)] or not shape:
        fits = " or ".join(str(loss_shape[: n + 1]) for n in range(len(loss_shape)))
        with errors_with_row_counts(groups):
            raise ValueError(f"groups must have the shape {fits or '(1,)'}, got {shape}")
    further = (1,) * (len(loss_shape) - len(shape))
    return LazyView(groups, lambda a: np.broadcast_to(a.reshape(*shape, *further), loss_shape))


class GroupTotals:
    """Sums of losses, weights and correct predictions for each group.

    What rounding takes from the sums of losses (two-sum) is summed too and added at the end.
    """

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}
        self._sums = np.zeros((len(_SUMS), 0))

    def add(self, keys: NDArray[Any], block: Block) -> None:
        """Add the rows of a block; keys has one key for each."""
        found, group = np.unique(keys.reshape(-1), return_inverse=True)
        size, plan = len(found), block.plan
        valid = np.ones(group.size) if plan.valid is None else plan.valid.astype(np.float64)
        sample_weight = np.ones(group.size) if block.weight is None else block.weight
        weights = valid if plan.summed is None else np.where(valid, plan.summed.reshape(-1), 0.0)
        sums = np.zeros((len(_SUMS), size))
        sums[0] = np.bincount(group, weighted_losses(block.losses, plan), size)
        sums[2] = np.bincount(group, valid, size)
        sums[3] = np.bincount(group, weights, size)
        if block.predictions is not None:
            kept, correct = block.kept, block.predictions.correct
            sums[4] = np.bincount(group[kept], sample_weight[kept], size)
            sums[5] = np.bincount(group[kept], (sample_weight * correct)[kept], size)
        self._include(found.tolist(), sums)

    def __add__(self, other: GroupTotals) -> GroupTotals:
        """Return the sums of the rows of both."""
        both = GroupTotals()
        for part in (self, other):
            both._include(list(part._numbers), part._sums[:, : len(part._numbers)])
        return both

    def _include(self, keys: list[Any], more: Floats) -> None:
        """Add the sums of some rows, a column for each key."""
        numbers = np.array([self._number(key) for key in keys], np.intp)
        sums = self._with_room(int(numbers.max(initial=-1)) + 1)
        with np.errstate(invalid="ignore"):  # of infinite losses
            total = sums[0, numbers]
            both = total + more[0]
            part = both - total
            sums[1, numbers] += (total - (both - part)) + (more[0] - part) + more[1]
            sums[0, numbers] = both
        sums[2:, numbers] += more[2:]

    def _number(self, key: Any) -> int:
        return self._numbers.setdefault(key, len(self._numbers))

    def _with_room(self, size: int) -> Floats:
        if size > self._sums.shape[1]:
            larger = np.zeros((len(_SUMS), max(size, 2 * self._sums.shape[1])))
            larger[:, : self._sums.shape[1]] = self._sums
            self._sums = larger
        return self._sums

    def columns(self, reduction: str | None, perplexity: bool) -> dict[str, NDArray[Any]]:
        """Return the columns group, loss, count, weight_sum, perplexity and accuracy.

        A row for each group with a row that counts, the largest loss first and NaN before it, of
        equal ones by key. The loss is what a call with the rows of the group alone gives, the mean
        without a reduction. Perplexity is NaN unless wanted, and accuracy without classes.
        """
        total, lost, count, weight, sample_weight, correct = self._sums[:, : len(self._numbers)]
        with np.errstate(all="ignore"):
            total = np.where(np.isfinite(lost), total + lost, total)
            divisor = {"sum": np.ones_like(count), "mean_with_sample_weight": weight}
            loss = np.where(total == 0, 0.0, total / divisor.get(reduction or "", count))
            mean = np.exp(total / weight) if perplexity else np.full(total.size, np.nan)
            accuracy = correct / sample_weight
        keys = np.array(list(self._numbers))
        shown = np.flatnonzero(count)
        first = np.where(np.isnan(loss), np.inf, loss)[shown]
        order = shown[np.lexsort((keys[shown], -first, ~np.isnan(loss[shown])))]
        values = {
            "group": keys,
            "loss": loss,
            "count": count.astype(np.int64),
            "weight_sum": weight,
            "perplexity": mean,
            "accuracy": accuracy,
        }
        return {name: column[order] for name, column in values.items()}
