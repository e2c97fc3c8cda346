"""What is timed: the shapes of docs/performance.md, imported from the tree this runs in."""

import json
import sys
from typing import Any, NamedTuple

from .kernelcases import LOSSES


class Work(NamedTuple):
    """A batch. Each gives four cells: value, and value and gradient, on one thread and on two."""

    part: str
    loss: str
    dtype: str
    shape: tuple[int, ...]
    """Of the array that `view` is taken from."""
    axis: int = -1
    view: str = "x"

    @property
    def name(self) -> str:
        """Return what --only looks in."""
        lies = f"{'x'.join(map(str, self.shape))}/{self.view}"
        return f"{self.part}/{self.loss}/{self.dtype}/{lies}/axis {self.axis}"


def works() -> list[Work]:
    """Return the tables' batches, of the tree that this runs in."""
    from benchmarks import axes, compare, views

    found = []
    for loss in LOSSES:
        shapes = compare.SHAPES if loss == "sparse_logits" else compare.EVERY_LOSS
        found += [
            Work("table", loss, dtype, shape)
            for shape in shapes
            for dtype in ("float32", "float64")
        ]
    last_alone = ("poisson", "kl_divergence")
    for loss in LOSSES:
        for shape, axis in axes.SHAPES.items():
            if loss not in last_alone:
                found.append(Work("axes", loss, "float32", shape, axis))
            elif len(shape) == 2:
                found.append(Work("axes", loss, "float32", shape, -1, "x.T"))
    found += [
        Work("views", loss, "float32", view.whole, -1, view.text)
        for loss in LOSSES
        for view in views.VIEWS
    ]
    return found


def say_works() -> None:
    """Print the batches, and on what they are timed, as one line."""
    from benchmarks import machine

    found: dict[str, Any] = {"place": machine.place(), "works": works()}
    json.dump(found, sys.stdout)
