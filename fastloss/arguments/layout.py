"""How an array of any shape becomes the three axes (outer, reduced, inner) that kernels read.

The loss reduces some axes, for instance the classes; each combination of the other indices is one
row. The other axes may be split at any place into outer and inner ones: rows keep their order. The
strides decide which axes can be merged without a copy. Logits (batch, time, classes) without the
last time step have no view of shape (rows, classes, 1), but transposed to (batch, classes, time)
they are such a view.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from math import prod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Shape: TypeAlias = tuple[int, ...]
Axis: TypeAlias = int | tuple[int, ...] | None


@dataclass(frozen=True, slots=True)  # slots: field access is faster than that of a NamedTuple
class Layout:
    """How an array of one shape is read as rows: see `layout_for`."""

    shape: Shape
    """The shape of the array."""
    shape3: tuple[int, int, int]
    """(outer, reduced, inner): the shape that kernels take."""
    loss_shape: Shape
    """The lengths of the axes that are not reduced."""
    keepdims_shape: Shape
    """The shape of the array with length 1 for the axes of the loss."""
    reduced_shape: Shape
    """The lengths of the axes of the loss: the reduced ones, but see `of_elements`."""
    row_count: int
    """The number of rows, which is the number of losses."""
    axis_groups: tuple[Shape, Shape, Shape]
    """The axes that are merged into each axis of `shape3`."""
    transposition: Shape | None
    """The order of axes that makes each group adjacent; None if they are adjacent already."""

    @property
    def classes(self) -> int:
        """The number of elements of a row."""
        return self.shape3[1]

    def of_elements(self) -> "Layout":
        """Return the layout in which each element is a row of its own, as if no axis were reduced.

        `keepdims_shape` and `reduced_shape` stay those of the loss.
        """
        elements = layout_for(self.shape, ())
        return replace(
            elements, keepdims_shape=self.keepdims_shape, reduced_shape=self.reduced_shape
        )

    def rows_of(self, array: Array) -> Array:
        """Return `array` in the shape `shape3`: a view if there is one, else a copy.

        `array` has the shape `shape`, but may have more or fewer axes of length 1.
        """
        if self.transposition is not None:
            array = array.reshape(self.shape).transpose(self.transposition)
        return array.reshape(self.shape3)

    def repeated(self, values: Array) -> Array:
        """Return `values`, of the shape `reduced_shape`, in the flat form that kernels read.

        If each element is a row, kernels repeat the values from element to element. That is right
        only where the axes of the loss are the last ones; elsewhere the result has one value for
        each element of the array.
        """
        if self.classes == values.size:
            return values.reshape(-1)
        lengths = zip(self.shape, self.keepdims_shape, strict=True)
        full = tuple(length if kept == 1 else 1 for length, kept in lengths)
        lead = next((axis for axis, length in enumerate(full) if length != 1), len(full))
        if full[lead:] != self.shape[lead:]:
            values = np.broadcast_to(values.reshape(full), self.shape)
        return values.reshape(-1)

    def restore(self, rows: Array, target: Array) -> None:
        """Write `rows`, of shape `shape3`, into `target`, of shape `shape` and any float dtype."""
        if self.transposition is not None:
            target = target.transpose(self.transposition)
        with np.errstate(over="ignore", under="ignore"):
            np.copyto(target, rows.reshape(target.shape), casting="same_kind")

    def is_view(self, strides: Shape) -> bool:
        """Return whether `rows_of` an array with these strides is a view."""
        return all(
            _mergeable([self.shape[a] for a in group], [strides[a] for a in group])
            for group in self.axis_groups
        )

    def with_fewest_copies(self, x: Array, out: Array | None, targets: Array | None) -> "Layout":
        """Return the split into outer and inner axes that copies the fewest of these arrays.

        All arrays have as many elements as `shape`. If some of them must be copied, the later ones
        are copied rather than the earlier ones. The rows and their order do not change.
        """
        if (  # fast path: contiguous arrays are views under every split
            x.flags.c_contiguous
            and (out is None or out.flags.c_contiguous)
            and (targets is None or targets.flags.c_contiguous)
        ):
            return self
        arrays = (array for array in (x, out, targets) if array is not None)
        return _layout_with_most_views(self, *(a.reshape(self.shape).strides for a in arrays))


def _mergeable(lengths: list[int], strides: list[int]) -> bool:
    """Return whether axes can become one: each stride spans the whole of the next axis."""
    long = [k for k, length in enumerate(lengths) if length != 1]
    return 0 in lengths or all(strides[a] == strides[b] * lengths[b] for a, b in pairwise(long))


@lru_cache(maxsize=256)
def _layout_with_most_views(default: Layout, *strides: Shape) -> Layout:
    axes = default.axis_groups[1]
    splits = range(len(default.loss_shape) + 1)
    layouts = (_split_layout(default.shape, axes, split) for split in splits)
    best = max((default, *layouts), key=lambda layout: [layout.is_view(s) for s in strides])
    return replace(
        default,
        shape3=best.shape3,
        axis_groups=best.axis_groups,
        transposition=best.transposition,
    )


@lru_cache(maxsize=256)
def layout_for(shape: Shape, axis: Axis, name: str = "y_pred") -> Layout:
    """Return the layout of an array of `shape` when `axis` (None: all axes) is reduced.

    `name` is the argument's name, for error messages.
    """
    rank = len(shape)
    if rank == 0:
        raise ValueError(
            f"{name} must have at least one axis, got shape (): [{name}], of shape (1,), fits"
        )
    given = range(rank) if axis is None else (axis,) if isinstance(axis, int) else axis
    if not all(-rank <= a < rank for a in given):
        raise ValueError(
            f"axis must lie in [{-rank}, {rank}) for {name} of shape {shape}, got {axis}"
        )
    axes = tuple(sorted(a % rank for a in given))
    if len(set(axes)) < len(axes):
        raise ValueError(f"axis must name each axis once, got {axis} for {name} of shape {shape}")
    first = axes[0] if axes else rank
    adjacent = axes == tuple(range(first, first + len(axes)))
    return _split_layout(shape, axes, first if adjacent else rank - len(axes))


def _split_layout(shape: Shape, axes: Shape, split: int) -> Layout:
    """Return the layout that reduces `axes`; the first `split` of the other axes are outer."""
    others = tuple(a for a in range(len(shape)) if a not in axes)
    groups = (others[:split], axes, others[split:])
    outer, reduced, inner = (prod(shape[a] for a in group) for group in groups)
    order = sum(groups, ())
    return Layout(
        shape=shape,
        shape3=(outer, reduced, inner),
        loss_shape=tuple(shape[a] for a in others),
        keepdims_shape=tuple(1 if a in axes else length for a, length in enumerate(shape)),
        reduced_shape=tuple(shape[a] for a in axes),
        row_count=outer * inner,
        axis_groups=groups,
        transposition=None if order == tuple(range(len(shape))) else order,
    )
