"""The whole picture of an evaluation, and the file it goes to."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastloss.cli.plot.groups import group_panel
from fastloss.cli.plot.page import page
from fastloss.cli.plot.panel import Panel, one_line
from fastloss.cli.plot.reliability import reliability_panel
from fastloss.cli.plot.row_losses import row_loss_panel
from fastloss.cli.plot.theme import LIGHT, PANEL_INCHES, STYLE
from fastloss.formats.errors import FileError
from fastloss.formats.missing import needed
from fastloss.formats.output_file import OutputFile
from fastloss.losses import BinaryCrossentropy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fastloss.loss_base import Loss
    from fastloss.out_of_core.evaluation import Summary

SUFFIXES = (".png", ".svg", ".html")
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))  # the same bytes at any time
_OVER_ROWS = {None: "", "sum": "sum over ", "mean_with_sample_weight": "mean by weight over "}


@dataclass(frozen=True)
class Picture:
    """What is drawn."""

    heading: str
    subheading: str
    panels: list[Panel]


def check_plot(path: Path) -> str:
    """Return the suffix of a picture, and raise FileError for another one or without Matplotlib."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise FileError(
            f"{path}: the suffix of a plot must be one of {', '.join(SUFFIXES)}, got {suffix!r}"
        )
    needed(path, "matplotlib.figure", "plot")
    return suffix


def picture_of(files: list[str], loss: Loss, summary: Summary, groups: dict[str, Any]) -> Picture:
    """Return the picture of an evaluation of `files`; panels without data are left out.

    `groups` are the `result.group_columns`.
    """
    of_groups = loss.reduction or "sum_over_batch_size"  # what groups have without a reduction
    panels: list[Panel | None] = [
        row_loss_panel(summary.losses),
        reliability_panel(summary.scores, isinstance(loss, BinaryCrossentropy)),
        group_panel(groups, loss.reduction, summary.seen.result(of_groups)),
    ]
    name = one_line(files[0] if len(files) == 1 else f"{files[0]} ... {files[-1]}", 60)
    value = "" if summary.value is None else f": {summary.value:.6g}"
    how = _OVER_ROWS.get(loss.reduction, "mean over ")
    return Picture(
        f"{loss.name}{value}",
        f"{how}{summary.seen.count:,} rows of {name}",
        [panel for panel in panels if panel is not None],
    )


@contextmanager
def open_picture(path: Path) -> Iterator[Callable[[Picture], None]]:
    """Return what writes a picture to a file, which is complete or absent after the block."""
    suffix = check_plot(path)
    output = OutputFile(path)
    with output as file:

        def write(picture: Picture) -> None:
            content = (
                _page(picture) if suffix == ".html" else _drawn(picture.panels, suffix, picture)
            )
            with output.errors():
                file.write(content)

        yield write


def _page(picture: Picture) -> bytes:
    drawings = [_drawn([panel], ".svg").decode() for panel in picture.panels]
    return page(picture.heading, picture.subheading, picture.panels, drawings).encode()


def _drawn(panels: list[Panel], suffix: str, titles: Picture | None = None) -> bytes:
    """Return an image of panels side by side; without `titles`, of one that has none."""
    from matplotlib import style
    from matplotlib.figure import Figure

    salt = {"svg.hashsalt": " ".join(panel.title for panel in panels)}
    image = io.BytesIO()
    with style.context(["default", STYLE, salt]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # in names: a box is drawn
        width, height = PANEL_INCHES
        count = max(1, len(panels))
        size = (width * count, height + (0 if titles is None else 0.8))
        figure = Figure(figsize=size, layout="constrained")
        _draw(figure, panels, titles)
        svg = {"metadata": _NO_METADATA} if suffix == ".svg" else {"dpi": 200}
        figure.savefig(image, format=suffix[1:], transparent=titles is None, **svg)
    return image.getvalue()


def _draw(figure: Figure, panels: list[Panel], titles: Picture | None) -> None:
    if titles is None:
        panels[0].draw(figure)
        return
    figure.suptitle(titles.heading, x=0.01, ha="left", fontsize=14)
    figure.supxlabel(titles.subheading, x=0.01, ha="left", fontsize=10, color=LIGHT.muted)
    if not panels:
        figure.text(0.5, 0.4, "no row has a finite loss", ha="center")
        return
    parts = figure.subfigures(1, len(panels), squeeze=False, wspace=0.03)[0]
    for part, panel in zip(parts, panels, strict=True):
        part.suptitle(panel.title, x=0.03, ha="left")
        panel.draw(part)
