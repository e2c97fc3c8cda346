"""Statistics of a stream of row losses, in bounded memory."""

from __future__ import annotations

import math
import operator
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastloss.accumulation.exact_sum import ZERO, ExactSum
from fastloss.reduction import float_sum

T = TypeVar("T")

EXACT_ROWS = 1 << 22
"""Up to this many losses are stored (at most 32 MiB), and their quantiles are exact."""

QUANTILE_ERROR = 2.0**-11
"""Relative error of the quantiles of more rows, which are counted in a histogram."""

_SHIFT = 12  # the bins differ in the upper 11 of float32's 23 mantissa bits
_BINS = 1 << (32 - _SHIFT)
_PIECE = 1 << 20
_MAGNITUDE = np.int32(0x7FFFFFFF)


def _histogram(values: NDArray[Any]) -> NDArray[np.int64]:
    """Count float32 values by their leading bits, which as integers have the order of the values.

    Unlike a randomized sketch, the histogram is the same in every run and for every order of the
    rows, and it bounds the error of a quantile's value instead of its rank.
    """
    counts = np.zeros(_BINS, np.int64)
    for start in range(0, values.size, _PIECE):  # the intermediate arrays stay small
        bits = values[start : start + _PIECE].astype(np.float32).view(np.int32)
        ordered = bits ^ ((bits >> 31) & _MAGNITUDE)
        counts += np.bincount((ordered >> _SHIFT) + _BINS // 2, minlength=_BINS)
    return counts


@np.errstate(invalid="ignore")
def _lower_edge(bins: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the lowest value of each bin; NaN for the bin of -inf."""
    ordered = ((bins - _BINS // 2) << _SHIFT).astype(np.int32)
    return (ordered ^ ((ordered >> 31) & _MAGNITUDE)).view(np.float32).astype(np.float64)


def sum_of_given(a: T | None, b: T | None) -> T | None:
    """Return a + b, where None stands for nothing to add."""
    if a is None or b is None:
        return b if a is None else a
    both: T = operator.add(a, b)
    return both


class RowStatistics:
    """Count, mean, extremes, quantiles and worst rows of losses that are added block by block.

    NaN losses are counted in `nan_rows`, are the first of the worst rows, and are excluded from
    everything else.

    Parameters
    ----------
    worst : int
        How many of the largest losses to remember.
    """

    def __init__(self, worst: int = 0) -> None:
        self.count = 0
        self.nan_rows = 0
        self.minimum = math.inf
        self.maximum = -math.inf
        self._total = ZERO
        self._pending: list[NDArray[Any]] = []
        self._pending_rows = 0
        self._bin_counts: NDArray[np.int64] | None = None
        self._worst_count = worst
        self._worst_rows = np.empty(0, np.int64)
        self._worst_losses = np.empty(0, np.float64)

    def add(self, rows: NDArray[np.int64], losses: NDArray[Any]) -> None:
        """Add the losses of some rows."""
        self._remember_worst(rows, losses)
        is_nan = np.isnan(losses)
        if is_nan.any():
            self.nan_rows += int(is_nan.sum())
            losses = losses[~is_nan]
        if not losses.size:
            return
        self.count += losses.size
        self.minimum = min(self.minimum, float(losses.min()))
        self.maximum = max(self.maximum, float(losses.max()))
        self._total += ExactSum.of(float_sum(losses))
        self._pending.append(losses)
        self._pending_rows += losses.size
        self._bound_memory()

    def __add__(self, other: RowStatistics) -> RowStatistics:
        """Return the statistics of the rows of both, as if they had been added to one."""
        both = RowStatistics(self._worst_count)
        both.count = self.count + other.count
        both.nan_rows = self.nan_rows + other.nan_rows
        both.minimum = min(self.minimum, other.minimum)
        both.maximum = max(self.maximum, other.maximum)
        both._total = self._total + other._total
        both._pending = self._pending + other._pending
        both._pending_rows = self._pending_rows + other._pending_rows
        both._bin_counts = sum_of_given(self._bin_counts, other._bin_counts)
        both._bound_memory()
        for part in (self, other):
            both._keep_worst(part._worst_rows, part._worst_losses)
        return both

    def __getstate__(self) -> dict[str, Any]:
        """Return what pickle writes: the histogram without the empty bins, most of 8 MiB."""
        state = vars(self).copy()
        if self._bin_counts is not None:
            bins = np.flatnonzero(self._bin_counts)
            state["_bin_counts"] = bins, self._bin_counts[bins]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if self._bin_counts is not None:
            bins, counts = state["_bin_counts"]
            self._bin_counts = np.zeros(_BINS, np.int64)
            self._bin_counts[bins] = counts

    def _bound_memory(self) -> None:
        """Count the losses that are stored in the histogram if there are too many."""
        if self._pending_rows > EXACT_ROWS:
            counts = _histogram(np.concatenate(self._pending))
            self._bin_counts = sum_of_given(self._bin_counts, counts)
            self._pending, self._pending_rows = [], 0

    def _remember_worst(self, rows: NDArray[np.int64], losses: NDArray[Any]) -> None:
        count = min(self._worst_count, losses.size)
        if not count:
            return
        sort_key = np.where(np.isnan(losses), np.inf, losses)
        candidates = np.flatnonzero(sort_key >= np.partition(sort_key, -count)[-count])
        self._keep_worst(rows[candidates], losses[candidates].astype(np.float64))

    def _keep_worst(self, rows: NDArray[np.int64], losses: NDArray[np.float64]) -> None:
        """Add candidates to the worst rows, and forget the best of them."""
        rows = np.concatenate([self._worst_rows, rows])
        losses = np.concatenate([self._worst_losses, losses])
        sort_key = np.where(np.isnan(losses), np.inf, losses)
        order = np.lexsort((rows, -sort_key))[: self._worst_count]  # equal losses: first row first
        self._worst_rows, self._worst_losses = rows[order], losses[order]

    @property
    def exact(self) -> bool:
        """Whether the quantiles are exact."""
        return self._bin_counts is None

    @property
    def mean(self) -> float:
        """Mean of the row losses, NaN if there are none."""
        return self._total / ExactSum.of(float(self.count)) if self.count else math.nan

    def worst(self) -> list[tuple[int, float]]:
        """Return (row, loss) of the rows with the largest losses, the worst first."""
        return list(zip(self._worst_rows.tolist(), self._worst_losses.tolist(), strict=True))

    def quantiles(self, levels: tuple[float, ...]) -> list[float]:
        """Return the loss at position floor(level * (rows - 1)) in sorted order, for each level."""
        if not self.count:
            return [math.nan] * len(levels)
        if self._bin_counts is None:
            values = np.concatenate(self._pending)
            return [float(q) for q in np.quantile(values, levels, method="lower")]
        counts = self._all_bin_counts(self._bin_counts)
        ranks = np.floor(np.asarray(levels) * (self.count - 1))
        edges = _lower_edge(np.searchsorted(np.cumsum(counts), ranks, side="right"))
        return [float(q) for q in np.fmax(edges, self.minimum)]  # fmax ignores NaN

    def histogram(self, edges: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return how many losses lie between neighbours of `edges`, which ascend.

        A loss on an edge belongs to the bin above it, on the last edge to the last bin. If the
        quantiles are not exact, losses that lie above an edge by less than their relative error may
        be counted below it.
        """
        if self._bin_counts is None:
            values = np.concatenate([np.empty(0), *self._pending])
            return np.histogram(values, edges)[0]
        counts = self._all_bin_counts(self._bin_counts)
        found = np.flatnonzero(counts)
        lowest = np.fmax(_lower_edge(found), self.minimum)
        sums = np.histogram(np.minimum(lowest, self.maximum), edges, weights=counts[found])[0]
        return sums.astype(np.int64)

    def _all_bin_counts(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return `counts` with the losses that are pending."""
        return counts + _histogram(np.concatenate(self._pending)) if self._pending else counts
