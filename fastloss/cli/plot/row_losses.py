"""The panel of row losses: how many rows have which loss."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastloss.cli.plot.panel import Numbers, short
from fastloss.cli.plot.theme import LIGHT
from fastloss.out_of_core.row_statistics import RowStatistics

if TYPE_CHECKING:
    from matplotlib.figure import FigureBase

BINS = 41  # odd: equal losses are in the middle one
_LEVELS = tuple(i / 100 for i in range(101))
# Name of a mark -> its levels and the dashes of its lines.
_QUANTILES = {
    "median": ((0.5,), "--"),
    "quartiles": ((0.25, 0.75), ":"),
    "1 %, 99 %": ((0.01, 0.99), "-."),
}


@dataclass(frozen=True)
class RowLossPanel:
    """A histogram of the row losses, with their mean and quantiles."""

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    """Rows in each bin between edges."""
    mean: float
    quantiles: dict[float, float]
    outside: list[str]
    """What is said of the rows that are in no bin."""

    title = "Row losses"

    def draw(self, figure: FigureBase) -> None:
        """Draw the histogram, and a line for the mean and each quantile."""
        axes = figure.subplots()
        axes.grid(False, axis="x")
        axes.stairs(self.counts, self.edges, fill=True, color=LIGHT.fill)
        self._mark(axes, f"mean: {short(self.mean)}", [self.mean], color=LIGHT.mark, linewidth=2)
        for name, (levels, dashes) in _QUANTILES.items():
            values = [self.quantiles[level] for level in levels]
            label = f"{name}: {', '.join(map(short, values))}"
            self._mark(axes, label, values, color=LIGHT.text, linewidth=1.2, linestyle=dashes)
        axes.set_xlim(self.edges[0], self.edges[-1])
        axes.set_xlabel("\n".join(["loss of a row", *self.outside]))
        axes.set_ylabel("rows")
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.locator_params(axis="y", integer=True)
        axes.xaxis.set_major_formatter("{x:.6g}")
        axes.locator_params(axis="x", nbins=5)
        figure.legend(loc="outside lower right", ncols=2)

    def _mark(self, axes: Any, label: str, values: list[float], **line: Any) -> None:
        """Draw lines at those values that lie within the bins; the legend names them all."""
        axes.plot([], [], label=label, **line)
        for value in values:
            if self.edges[0] <= value <= self.edges[-1]:
                axes.axvline(value, **line)

    def numbers(self) -> Numbers:
        """Return mean, quantiles and the counts of the bins."""
        rows = [("mean", short(self.mean))]
        rows += [(f"quantile {level}", short(q)) for level, q in self.quantiles.items()]
        rows += [
            (f"rows from {short(low)} to {short(high)}", f"{count:,}")
            for low, high, count in zip(self.edges, self.edges[1:], self.counts, strict=False)
            if count
        ]
        return Numbers(("row losses", ""), rows + [(text, "") for text in self.outside])


def row_loss_panel(statistics: RowStatistics) -> RowLossPanel | None:
    """Return the panel, or None without finite losses.

    Bins reach from the smallest to the largest loss, or to the 1 % and 99 % quantiles where a few
    rows beyond would take most of the width: these are counted in words.
    """
    by_level = np.array(statistics.quantiles(_LEVELS))
    finite = by_level[np.isfinite(by_level)]
    if not finite.size:
        return None
    low, high = float(finite[0]), float(finite[-1])
    first, last = np.clip(by_level[[1, -2]], low, high).tolist()
    core = last - first
    if core > 0 and high - last > core:
        high = last
    if core > 0 and first - low > core:
        low = first
    if low == high:
        margin = abs(low) / 10 or 0.5
        low, high = low - margin, high + margin
    if not math.isfinite(high - low):
        return None
    edges = np.linspace(low, high, BINS + 1)
    inclusive = np.concatenate([[-np.inf], edges[:-1], [np.nextafter(high, np.inf), np.inf]])
    below, *counts, above = statistics.histogram(inclusive).tolist()
    outside = []
    if below:
        outside.append(f"below {short(low)}: {below:,} rows, down to {short(statistics.minimum)}")
    if above:
        outside.append(f"above {short(high)}: {above:,} rows, up to {short(statistics.maximum)}")
    if statistics.nan_rows:
        outside.append(f"NaN: {statistics.nan_rows:,} rows")
    levels = [level for of_mark, _ in _QUANTILES.values() for level in of_mark]
    quantiles = dict(zip(levels, statistics.quantiles(tuple(levels)), strict=True))
    return RowLossPanel(edges, np.array(counts), statistics.mean, quantiles, outside)
