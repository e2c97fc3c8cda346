"""Arrays of three axes in every way that memory can hold them."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]
Shape = tuple[int, int, int]
GAP = 7  # fills what lies between the elements of a view: a write there is found


class Axis(NamedTuple):
    """How an axis is cut from one that is longer."""

    before: int = 0
    step: int = 1
    after: int = 0

    def length(self, n: int) -> int:
        """Return how long the axis is that n elements are cut from."""
        return self.before + abs(self.step) * n + self.after

    def cut(self, n: int) -> slice:
        """Return the n elements, in increasing order."""
        return slice(self.before, self.before + abs(self.step) * n, abs(self.step))


class Layout(NamedTuple):
    """How (outer, classes, inner) lies in memory."""

    axes: tuple[Axis, Axis, Axis] = (Axis(), Axis(), Axis())
    order: tuple[int, int, int] = (0, 1, 2)
    """The axes from the slowest to the fastest."""
    start: int = 0
    """Elements in front of the first: moves all away from round addresses."""


_WHOLE, _BACK, _SECOND = Axis(), Axis(step=-1), Axis(step=2)
_GAPS = Axis(before=3, after=2)

LAYOUTS = {
    "C": Layout(),
    "odd": Layout(start=1),
    "F": Layout(order=(2, 1, 0)),
    "order021": Layout(order=(0, 2, 1)),
    "order102": Layout(order=(1, 0, 2)),
    "order120": Layout(order=(1, 2, 0)),
    "order201": Layout(order=(2, 0, 1)),
    "gaps": Layout((_WHOLE, _GAPS, _WHOLE)),
    "gaps_inner": Layout((_WHOLE, _WHOLE, _GAPS)),
    "gaps_both": Layout((Axis(before=1), _GAPS, _GAPS), start=3),
    "gapsF": Layout((_GAPS, _GAPS, _WHOLE), order=(2, 1, 0)),
    "step_rows": Layout((_SECOND, _WHOLE, _WHOLE)),
    "step_classes": Layout((_WHOLE, _SECOND, _WHOLE)),
    "step_inner": Layout((_WHOLE, _WHOLE, _SECOND)),
    "step_F": Layout((_SECOND, _WHOLE, _WHOLE), order=(2, 1, 0)),
    "back_rows": Layout((_BACK, _WHOLE, _WHOLE)),
    "back_classes": Layout((_WHOLE, _BACK, _WHOLE)),
    "back_inner": Layout((_WHOLE, _WHOLE, _BACK)),
    "back_all": Layout((_BACK, _BACK, _BACK)),
    "back_steps": Layout((Axis(step=-2), Axis(step=-3), Axis(step=-2))),
    "back021": Layout((_BACK, _WHOLE, _BACK), order=(0, 2, 1)),
}

#: Of targets alone: a stride of 0 along rows, classes or both.
BROADCAST = {"same_rows": (0, 2), "same_classes": (1,), "same_all": (0, 1, 2)}


def place(name: str, shape: Shape, dtype: DTypeLike) -> tuple[Array, Array]:
    """Return (memory, view): all that lies there, filled with GAP, and the array in it."""
    axes, order, start = LAYOUTS[name]
    lengths = [axis.length(n) for axis, n in zip(axes, shape, strict=True)]
    memory = np.full(start + int(np.prod(lengths)), GAP, dtype)
    box = memory[start:].reshape([lengths[a] for a in order]).transpose(np.argsort(order))
    view = box[tuple(axis.cut(n) for axis, n in zip(axes, shape, strict=True))]
    return memory, view[tuple(slice(None, None, -1 if a.step < 0 else 1) for a in axes)]


def placed(name: str, array: Array) -> tuple[Array, Array]:
    """Return (memory, view) where the view is a copy of `array`, or shows a part of it again."""
    if name in BROADCAST:
        part = tuple(slice(0, 1) if a in BROADCAST[name] else slice(None) for a in range(3))
        some = np.ascontiguousarray(array[part]) if array.size else array
        return some, np.broadcast_to(some, array.shape) if array.size else array
    memory, view = place(name, array.shape, array.dtype)
    view[...] = array
    return memory, view
