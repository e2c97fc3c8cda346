"""Draw each loss and its gradient: docs/pictures/loss-<name>.svg.

    python docs/curves.py

Both come from the loss itself, in float64, so the curves show what the library returns.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastloss as fl

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tools.pictures import BLUE, ORANGE, panel  # noqa: E402

Array = NDArray[np.float64]
POINTS = 241


@dataclass(frozen=True)
class Curve:
    """A loss over a number x that its predictions are made of, and d loss / d x."""

    loss: fl.Loss
    span: tuple[float, float]
    label: str  # of the x axis: what x is, and the target
    targets: Any  # of every row
    predictions: Callable[[Array], Array]
    direction: tuple[float, ...]  # of a row as x grows

    def values(self) -> tuple[Array, Array, Array]:
        """Return x, the losses and the gradients."""
        x = np.linspace(*self.span, POINTS)
        rows = self.predictions(x)
        targets = np.repeat(np.array([self.targets]), POINTS, axis=0)
        losses, slopes = self.loss.value_and_grad(targets, rows)
        return x, np.asarray(losses), slopes @ np.array(self.direction)


def columns(*others: float) -> Callable[[Array], Array]:
    """Return what puts x before other numbers, in each row."""
    return lambda x: np.column_stack([x, *(np.full_like(x, number) for number in others)])


EACH: Any = {"reduction": None}
CURVES = {
    "binary_crossentropy": Curve(
        fl.BinaryCrossentropy(from_logits=True, **EACH),
        (-6, 6), "logit x; target 1", [1.0], columns(), (1,),
    ),
    "categorical_crossentropy": Curve(
        fl.CategoricalCrossentropy(from_logits=True, **EACH),
        (-6, 6), "logits (x, 0, 0); target (0.8, 0.1, 0.1)", [0.8, 0.1, 0.1],
        columns(0, 0), (1, 0, 0),
    ),
    "sparse_categorical_crossentropy": Curve(
        fl.SparseCategoricalCrossentropy(from_logits=True, **EACH),
        (-6, 6), "logits (x, 0, 0); label 0", 0, columns(0, 0), (1, 0, 0),
    ),
    "poisson": Curve(
        fl.Poisson(**EACH), (0.4, 9), "rate x; count 3", [3.0], columns(), (1,),
    ),
    "kl_divergence": Curve(
        fl.KLDivergence(**EACH), (0.1, 0.9), "prediction (x, 1 − x); target (0.6, 0.4)",
        [0.6, 0.4], lambda x: np.column_stack([x, 1 - x]), (1, -1),
    ),
}  # fmt: skip


def draw(name: str, folder: Path) -> Path:
    """Draw one loss, and return the file."""
    path = folder / f"loss-{name}.svg"
    x, losses, slopes = CURVES[name].values()
    with panel(path) as axes:
        axes.axhline(0, color="#78818c", linewidth=0.8)
        axes.plot(x, losses, color=BLUE, label="loss")
        axes.plot(x, slopes, color=ORANGE, linestyle="--", label="d loss / d x")
        axes.set(xlabel=CURVES[name].label)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0)
    return path


def main() -> None:
    """Draw them all."""
    for name in CURVES:
        print(draw(name, ROOT / "docs" / "pictures").relative_to(ROOT))


if __name__ == "__main__":
    main()
