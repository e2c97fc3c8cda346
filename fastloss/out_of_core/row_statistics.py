"""Statistics of a stream of row losses, in memory that does not grow with the rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastloss.reduction import float_sum

EXACT_ROWS = 1 << 22
"""Up to this many rows are kept (at most 32 MiB), and their quantiles are exact."""

QUANTILE_ERROR = 2.0**-11
"""Relative error of the quantiles of more rows than that."""

_SHIFT = 12  # of float32's 23 mantissa bits, 11 tell the bins apart
_BINS = 1 << (32 - _SHIFT)
_MAGNITUDE = np.int32(0x7FFFFFFF)


def _fold(values: NDArray[Any]) -> NDArray[np.int64]:
    """Count float32 values by their leading bits, which, read as integers, sort as the values do.

    A sketch with random choices would answer differently from run to run. This one depends on
    neither chance nor the order of the rows, and its error is one of value, not of rank.
    """
    bits = values.astype(np.float32).view(np.int32)
    ordered = bits ^ ((bits >> 31) & _MAGNITUDE)
    return np.bincount((ordered >> _SHIFT) + _BINS // 2, minlength=_BINS)


@np.errstate(invalid="ignore")
def _lower_edge(bins: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the least value of each bin: NaN for the one of -inf."""
    ordered = ((bins - _BINS // 2) << _SHIFT).astype(np.int32)
    return (ordered ^ ((ordered >> 31) & _MAGNITUDE)).view(np.float32).astype(np.float64)


class RowStatistics:
    """Count, mean, extremes, quantiles and worst rows of losses that come block by block.

    NaN losses are counted (`nan_rows`), lead the worst rows, and are left out of everything else.

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
        self._sums: list[float] = []
        self._pending: list[NDArray[Any]] = []
        self._waiting = 0
        self._counts: NDArray[np.int64] | None = None
        self._wanted = worst
        self._worst_rows = np.empty(0, np.int64)
        self._worst_losses = np.empty(0, np.float64)

    def add(self, rows: NDArray[np.int64], losses: NDArray[Any]) -> None:
        """Take in the losses of some rows."""
        self._remember_worst(rows, losses)
        missing = np.isnan(losses)
        if missing.any():
            self.nan_rows += int(missing.sum())
            losses = losses[~missing]
        if not losses.size:
            return
        self.count += losses.size
        self.minimum = min(self.minimum, float(losses.min()))
        self.maximum = max(self.maximum, float(losses.max()))
        self._sums.append(float_sum(losses))
        self._pending.append(losses)
        self._waiting += losses.size
        if self._waiting > EXACT_ROWS:
            folded = _fold(np.concatenate(self._pending))
            self._counts = folded if self._counts is None else self._counts + folded
            self._pending, self._waiting = [], 0

    def _remember_worst(self, rows: NDArray[np.int64], losses: NDArray[Any]) -> None:
        wanted = min(self._wanted, losses.size)
        if not wanted:
            return
        badness = np.where(np.isnan(losses), np.inf, losses)
        near = np.flatnonzero(badness >= np.partition(badness, -wanted)[-wanted])
        rows = np.concatenate([self._worst_rows, rows[near]])
        losses = np.concatenate([self._worst_losses, losses[near].astype(np.float64)])
        badness = np.where(np.isnan(losses), np.inf, losses)
        order = np.lexsort((rows, -badness))[: self._wanted]  # ties: the first row first
        self._worst_rows, self._worst_losses = rows[order], losses[order]

    @property
    def exact(self) -> bool:
        """Whether the quantiles are exact."""
        return self._counts is None

    @property
    def mean(self) -> float:
        """Mean of the row losses, NaN if there are none."""
        return math.fsum(self._sums) / self.count if self.count else math.nan

    def worst(self) -> list[tuple[int, float]]:
        """Return (row, loss) of the rows with the largest losses, the worst first."""
        return list(zip(self._worst_rows.tolist(), self._worst_losses.tolist(), strict=True))

    def quantiles(self, levels: tuple[float, ...]) -> list[float]:
        """Return a row's loss for each level: the one at floor(level * (rows - 1)) in order."""
        if not self.count:
            return [math.nan] * len(levels)
        if self._counts is None:
            values = np.concatenate(self._pending)
            return [float(q) for q in np.quantile(values, levels, method="lower")]
        counts = self._counts
        if self._pending:
            counts = counts + _fold(np.concatenate(self._pending))
        ranks = np.floor(np.asarray(levels) * (self.count - 1))
        edges = _lower_edge(np.searchsorted(np.cumsum(counts), ranks, side="right"))
        return [float(q) for q in np.fmax(edges, self.minimum)]  # NaN gives way
