"""The tables of the verdicts, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from importlib import metadata
from math import isnan

from .. import machine
from ..report import markdown
from .cells import CRASHED, ERROR, NOT_OFFERED, WRONG, Cell
from .inputs import INPUTS, Input

#: What README.md shows.
TELLING = (
    "label_minus_one",
    "label_out_of_range",
    "nan_weight_zero",
    "minus_infinity",
    "confident",
    "float16_sum",
    "column",
    "far_below",
)
PRIVATE = "sklearn._loss"
PACKAGES = (
    "numpy", "torch", "jax", "keras", "optax", "scikit-learn", "scipy", "xgboost", "xgboost-cpu",
    "lightgbm", "mpmath",
)  # fmt: skip


def short(cells: Sequence[Cell]) -> str:
    """Return the README's table: the most telling inputs, the public libraries."""
    shown = [c for c in cells if c.input.name in TELLING and c.library != PRIVATE]
    rows = [[entry.title, *map(_brief, row)] for entry, row in _by_input(shown)]
    note = (
        "Bold: a wrong answer, no error and no warning. Empty: the library has no such function. "
        "The truth about each input, and what every library said: [docs/silent.md](docs/silent.md)."
    )
    return "\n\n".join([markdown(["", *_libraries(shown)], rows), note, measured()])


def full(cells: Sequence[Cell]) -> str:
    """Return the table of all inputs, then each input with its truth and every answer."""
    rows = [[entry.title, *map(_word, row)] for entry, row in _by_input(cells)]
    details = [_details(entry, row) for entry, row in _by_input(cells)]
    table = markdown(["input", *_libraries(cells)], rows)
    return "\n\n".join([table, measured(), "## Input by input", *details])


def measured() -> str:
    """Return when, with which versions and on what the cells were run."""
    there = {item.metadata["Name"].lower() for item in metadata.distributions()}
    found = machine.describe([name for name in PACKAGES if name in there])
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return (
        f"Run {date.today()} by `make silent`: {found['processor']}, {found['system']}; {versions}."
    )


def _word(cell: Cell) -> str:
    return f"**{cell.word}**" if cell.verdict in (WRONG, CRASHED) else cell.word


def _brief(cell: Cell) -> str:
    if cell.verdict == NOT_OFFERED:
        return ""
    return f"**{cell.printed}**" if cell.verdict == WRONG else _word(cell)


def _details(entry: Input, row: Iterable[Cell]) -> str:
    """Return a section: the truth, what each library said, and public reports."""
    said = [f"- {cell.library}: {_said(cell)}" for cell in row if cell.verdict != NOT_OFFERED]
    parts = [f"### {entry.title}", f"{entry.why} {_wanted(entry)}", "\n".join(said)]
    if entry.reports:
        links = (
            f"[{one}](https://github.com/{one.replace('#', '/issues/')})" for one in entry.reports
        )
        parts.append(f"Public reports: {', '.join(links)}.")
    return "\n\n".join(parts)


def _wanted(entry: Input) -> str:
    """Return which answers are right."""
    if isnan(entry.truth):
        return f"Right: an error{'' if entry.also is None else f', {entry.also:g}'} or NaN."
    return f"Right: {entry.truth:.9g}, within a share of {entry.tolerance:g}; or an error."


def _said(cell: Cell) -> str:
    """Return verdict, number or message, and warning."""
    if cell.verdict in (ERROR, CRASHED):
        return f"{cell.verdict}, `{cell.printed}`"
    number = "" if cell.verdict == WRONG else f", {cell.printed}"
    return f"{cell.word}{number}" + (f"; warning: `{cell.warning}`" if cell.warning else "")


def _libraries(cells: Sequence[Cell]) -> list[str]:
    return list(dict.fromkeys(cell.library for cell in cells))


def _by_input(cells: Sequence[Cell]) -> Iterator[tuple[Input, list[Cell]]]:
    """Yield each input with its cells, a library each, in the order of the inputs."""
    for entry in INPUTS:
        if row := [cell for cell in cells if cell.input.name == entry.name]:
            yield entry, row
