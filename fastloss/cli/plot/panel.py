"""What the panels of the picture have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from matplotlib.figure import FigureBase


class Numbers(NamedTuple):
    """The numbers of a panel as a table."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


class Panel(Protocol):
    """One panel."""

    @property
    def title(self) -> str:
        """What it shows."""

    def draw(self, figure: FigureBase) -> None:
        """Draw it without its title, so that it fills the figure."""

    def numbers(self) -> Numbers:
        """Return what is drawn as a table."""


def short(value: float | None) -> str:
    """Return a number with four digits, as labels have it.

    >>> short(1234567.0), short(0.0123456), short(None)
    ('1.235e+06', '0.01235', '-')
    """
    return "-" if value is None else f"{value:.4g}"


def one_line(text: object, most: int) -> str:
    r"""Return text that a label can show: printable, and its middle left out if it is long.

    >>> one_line("a\nb", 9), one_line("0123456789", 7)
    ('a b', '012…789')
    """
    shown = "".join(c if c.isprintable() else " " for c in str(text))
    if len(shown) <= most:
        return shown
    head = (most - 1) // 2
    return f"{shown[:head]}…{shown[len(shown) - (most - 1 - head) :]}"
