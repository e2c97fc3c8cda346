"""The panel of groups: those with the largest losses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastloss.cli.plot.panel import Numbers, one_line, short
from fastloss.cli.plot.theme import LIGHT

if TYPE_CHECKING:
    from matplotlib.figure import FigureBase

MOST = 12
"""How many groups are shown."""
_KEY = 20
"""How many characters of a key are shown."""


@dataclass(frozen=True)
class GroupPanel:
    """Losses of groups as horizontal bars, the largest at the top."""

    keys: list[str]
    losses: list[float]
    counts: list[int]
    groups: int
    """How many there are."""
    reduction: str | None
    all_rows: float | None
    """The loss of all rows, None where it compares with none of a group."""

    @property
    def title(self) -> str:
        """What it shows."""
        shown = len(self.keys)
        few = shown == self.groups
        return "Loss by group" if few else f"Loss by group: worst {shown} of {self.groups:,}"

    def draw(self, figure: FigureBase) -> None:
        """Draw the bars, the losses beside them, and a line at the loss of all rows."""
        axes = figure.subplots()
        axes.grid(False, axis="y")
        finite = np.nan_to_num(self.losses, nan=0.0, posinf=0.0, neginf=0.0)
        axes.barh(range(len(self.keys)), finite, height=0.75, color=LIGHT.fill)
        beside = axes.get_yaxis_transform()  # x from 0, the left end of the axes, to 1
        for number, loss in enumerate(self.losses):
            axes.text(1.02, number, short(loss), va="center", fontsize=9, transform=beside)
        labels = [
            f"{one_line(key, _KEY)} ({count:,})"
            for key, count in zip(self.keys, self.counts, strict=True)
        ]
        axes.set_yticks(range(len(labels)), labels, fontsize=9)
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(max(len(labels), 4) - 0.5, -0.5)  # few bars stay bars
        how = "sum" if self.reduction == "sum" else "mean"
        axes.xaxis.set_major_formatter("{x:.6g}")
        axes.locator_params(axis="x", nbins=4)
        axes.set_xlabel(f"{how} of the losses (rows in brackets)")
        if self.all_rows is not None and np.isfinite(self.all_rows):
            label = f"all rows: {short(self.all_rows)}"
            axes.axvline(self.all_rows, color=LIGHT.mark, linewidth=2, label=label)
            figure.legend(loc="outside lower right")

    def numbers(self) -> Numbers:
        """Return loss and count of each group shown."""
        rows = [
            (key, short(loss), f"{count:,}")
            for key, loss, count in zip(self.keys, self.losses, self.counts, strict=True)
        ]
        return Numbers(("group", "loss", "rows"), rows)


def group_panel(
    columns: dict[str, Any], reduction: str | None, all_rows: float | None
) -> GroupPanel | None:
    """Return the panel of `result.group_columns`, or None without groups."""
    if not columns or not columns["group"].size:
        return None
    return GroupPanel(
        [str(key) for key in columns["group"][:MOST].tolist()],
        columns["loss"][:MOST].tolist(),
        columns["count"][:MOST].tolist(),
        columns["group"].size,
        reduction,
        None if reduction == "sum" else all_rows,
    )
