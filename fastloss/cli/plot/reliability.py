"""The panel of calibration: whether events are as frequent as their probabilities say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastloss.cli.plot.panel import Numbers, short
from fastloss.cli.plot.theme import LIGHT
from fastloss.out_of_core.class_scores import Scores

if TYPE_CHECKING:
    from matplotlib.figure import FigureBase


@dataclass(frozen=True)
class ReliabilityPanel:
    """A reliability diagram above the weights of its bins."""

    bins: int
    error: float
    shown: NDArray[np.intp]
    """Which bins have weight."""
    share: NDArray[np.float64]
    """Of the whole weight, in each of these bins."""
    confidence: NDArray[np.float64]
    """The mean in each of these bins."""
    outcome: NDArray[np.float64]
    """The mean in each of these bins."""
    binary: bool
    """Whether events are those of class 1, or that the most likely class is correct."""

    @property
    def title(self) -> str:
        """What it shows."""
        return f"Calibration error {short(self.error)} ({self.bins} bins)"

    def draw(self, figure: FigureBase) -> None:
        """Draw points, their distances from the diagonal, and bars of weights."""
        axes, weights = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
        axes.plot([0, 1], [0, 1], "--", color=LIGHT.muted, linewidth=1, label="calibrated")
        axes.vlines(
            self.confidence,
            self.confidence,
            self.outcome,
            color=LIGHT.mark,
            linewidth=2.5,
            label="distance",
        )
        axes.plot(self.confidence, self.outcome, color=LIGHT.fill, label="measured")
        area = 4 + 50 * self.share / self.share.max()
        axes.scatter(self.confidence, self.outcome, area, color=LIGHT.fill, zorder=3)
        axes.set(xlim=(0, 1), ylim=(-0.02, 1.02))
        axes.set_ylabel("share of class 1" if self.binary else "share correct")
        figure.legend(loc="outside lower right", ncols=3)
        weights.bar((self.shown + 0.5) / self.bins, self.share, 0.9 / self.bins, color=LIGHT.fill)
        weights.grid(False, axis="x")
        weights.yaxis.set_major_formatter("{x:.0%}")
        weights.locator_params(axis="y", nbins=2)
        weights.set_ylabel("weight")
        which = "class 1" if self.binary else "the most likely class"
        weights.set_xlabel(f"predicted probability of {which}")

    def numbers(self) -> Numbers:
        """Return probability, outcome and weight of each bin."""
        outcome = "share of class 1" if self.binary else "share correct"
        rows = [
            (f"{n / self.bins:.3g} to {(n + 1) / self.bins:.3g}", short(p), short(o), f"{w:.2%}")
            for n, p, o, w in zip(
                self.shown, self.confidence, self.outcome, self.share, strict=True
            )
        ]
        return Numbers(("bin", "mean probability", outcome, "weight"), rows)


def reliability_panel(scores: Scores | None, binary: bool) -> ReliabilityPanel | None:
    """Return the panel, or None for a loss without classes or rows without weight."""
    error = None if scores is None else scores.calibration_error
    if scores is None or error is None:
        return None
    weight, confidence, outcome = scores.bins
    shown = np.flatnonzero(weight > 0)
    w = weight[shown]
    return ReliabilityPanel(
        weight.size,
        error,
        shown,
        w / weight.sum(),
        confidence[shown] / w,
        outcome[shown] / w,
        binary,
    )
