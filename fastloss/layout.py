"""How an array of any shape is read as rows: which axes come before, among and after the reduced.

A kernel reads predictions as (outer, reduced, inner). Where the axes that stay are cut into outer
and inner ones is free, as rows keep their order; but strides decide which axes can be merged
without a copy. Of logits (batch, time, classes) without the last step no view is
(rows, classes, 1), and yet one is (batch, classes, time).
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import prod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Shape: TypeAlias = tuple[int, ...]
Axis: TypeAlias = int | tuple[int, ...] | None


@dataclass(frozen=True, slots=True)  # whose fields are faster to get at than a tuple's
class Layout:
    """How an array of one shape is read as rows: see `layout`."""

    whole: Shape
    """The array's shape."""
    form: tuple[int, int, int]
    """(outer, reduced, inner), as kernels take it."""
    kept: Shape
    """The lengths of the axes that stay: the shape of the loss."""
    thin: Shape
    """The same with the reduced axes at length 1."""
    reduced: Shape
    """The lengths of the axes that go."""
    row_count: int
    """The number of rows, that is of losses."""
    groups: tuple[Shape, Shape, Shape]
    """The axes that are merged into each of the form's."""
    order: Shape | None
    """The transposition that brings each group together, None where they are."""

    def rows(self, array: Array) -> Array:
        """Return `array`, of shape `whole`, in `form`: a view where one exists, else a copy.

        Axes of length 1 more or fewer than `whole` has do not matter.
        """
        if self.order is not None:
            array = array.reshape(self.whole).transpose(self.order)
        return array.reshape(self.form)

    def restore(self, rows: Array, target: Array) -> None:
        """Write `rows`, in `form`, into `target`, of shape `whole` and of any float dtype."""
        if self.order is not None:
            target = target.transpose(self.order)
        with np.errstate(over="ignore", under="ignore"):
            np.copyto(target, rows.reshape(target.shape), casting="same_kind")

    def is_view(self, strides: Shape) -> bool:
        """Return whether `rows` of an array with these strides is a view."""
        return all(
            _merge([self.whole[a] for a in group], [strides[a] for a in group])
            for group in self.groups
        )

    def fitting(self, x: Array, out: Array | None, targets: Array | None) -> "Layout":
        """Return this layout or one with another cut between outer and inner axes.

        It copies as few as possible of these arrays, all with the elements of `whole`; if some have
        to be, then rather the later ones. Rows are the same, in the same order.
        """
        if (  # contiguous arrays, which any cut is right for, cost least so
            x.flags.c_contiguous
            and (out is None or out.flags.c_contiguous)
            and (targets is None or targets.flags.c_contiguous)
        ):
            return self
        arrays = (array for array in (x, out, targets) if array is not None)
        return _fitting(self, *(array.reshape(self.whole).strides for array in arrays))


def _merge(lengths: list[int], strides: list[int]) -> bool:
    """Return whether axes can be made one: each stride is the extent of the axis behind it."""
    long = [k for k, length in enumerate(lengths) if length != 1]
    return 0 in lengths or all(strides[a] == strides[b] * lengths[b] for a, b in pairwise(long))


@lru_cache(maxsize=256)
def _fitting(usual: Layout, *strides: Shape) -> Layout:
    axes = usual.groups[1]
    cuts = (_layout(usual.whole, axes, cut) for cut in range(len(usual.kept) + 1))
    return max((usual, *cuts), key=lambda form: [form.is_view(s) for s in strides])


@lru_cache(maxsize=256)
def layout(shape: Shape, axis: Axis) -> Layout:
    """Return how predictions of `shape` are read when `axis` (None: all) is reduced."""
    rank = len(shape)
    if rank == 0:
        raise ValueError("y_pred must have at least one axis, got shape ()")
    named = range(rank) if axis is None else (axis,) if isinstance(axis, int) else axis
    if not all(-rank <= a < rank for a in named):
        raise ValueError(
            f"axis must lie in [{-rank}, {rank}) for y_pred of shape {shape}, got {axis}"
        )
    axes = tuple(sorted(a % rank for a in named))
    if len(set(axes)) < len(axes):
        raise ValueError(f"axis must name each axis once, got {axis} for y_pred of shape {shape}")
    first = axes[0] if axes else rank
    together = axes == tuple(range(first, first + len(axes)))
    return _layout(shape, axes, first if together else rank - len(axes))


def _layout(shape: Shape, axes: Shape, cut: int) -> Layout:
    """Return the layout where `axes` are reduced, and the first `cut` of the others are outer."""
    others = tuple(a for a in range(len(shape)) if a not in axes)
    groups = (others[:cut], axes, others[cut:])
    outer, reduced, inner = (prod(shape[a] for a in group) for group in groups)
    order = sum(groups, ())
    return Layout(
        whole=shape,
        form=(outer, reduced, inner),
        kept=tuple(shape[a] for a in others),
        thin=tuple(1 if a in axes else length for a, length in enumerate(shape)),
        reduced=tuple(shape[a] for a in axes),
        row_count=outer * inner,
        groups=groups,
        order=None if order == tuple(range(len(shape))) else order,
    )
