"""How weights and masks meet the losses: one value for each loss, or for each element.

A loss has one value for each row of predictions. Losses that are means over elements (binary
crossentropy and Poisson) also take weights and masks of y_pred's own shape. Each element is then a
loss of its own, as if no axis were averaged over.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from fastloss.arguments.arrays import broadcasts_to
from fastloss.arguments.layout import Array, Layout, Shape


class Alignment(NamedTuple):
    """What the weights and masks of one call are broadcast to."""

    rows: Layout
    """The layout of y_pred, one loss for each row."""
    elementwise: bool
    """Whether the loss is a mean over elements."""
    by_element: bool
    """Whether each element is a loss of its own in this call."""

    @property
    def losses(self) -> Layout:
        """The layout with one row for each loss of this call."""
        return self.rows.of_elements() if self.by_element else self.rows

    def broadcast(self, name: str, array: Array) -> Array:
        """Return a weight or mask broadcast to the losses of this call.

        Raises ValueError, which says what would fit, for one that would have to enlarge them.
        """
        rows = self.rows
        if self.by_element and _of_elements(array.shape, rows):
            return array.reshape(rows.shape)
        for lengths in _candidates(array.shape, rows):
            if broadcasts_to(lengths, rows.loss_shape):
                fitting = np.broadcast_to(array.reshape(lengths), rows.loss_shape)
                if self.by_element:
                    return np.broadcast_to(fitting.reshape(rows.keepdims_shape), rows.shape)
                return fitting
        raise ValueError(
            f"{name} must fit the shape of the losses, {rows.loss_shape}, from the left or by"
            f" broadcasting{self._what_else_fits(array.shape)}, got shape {array.shape}"
        )

    def _what_else_fits(self, given: Shape) -> str:
        rows = self.rows
        if self.elementwise:
            return f", or have one value for each element, {rows.shape}"
        if given != rows.shape:
            return ""
        return (
            f" (the {rows.classes} classes of a row share one loss: categorical_crossentropy weighs"
            f" them by class_weight, of shape ({rows.classes},); elements of {rows.shape} have"
            " losses of their own in binary_crossentropy and poisson alone)"
        )


def align(rows: Layout, elementwise: bool, *shapes: Shape | None) -> Alignment:
    """Return the alignment of weights and masks of these shapes; None stands for none."""
    by_element = elementwise and any(s is not None and _of_elements(s, rows) for s in shapes)
    return Alignment(rows, elementwise, by_element)


def _of_elements(shape: Shape, rows: Layout) -> bool:
    """Return whether a weight or mask of an elementwise loss has one value for each element.

    It then has y_pred's own shape. But if all averaged axes have length 1, an array of this shape
    has one value for each loss. For predictions of rank 1 that are averaged, (n, 1) is as (n,).
    """
    if len(rows.shape) == 1 and rows.loss_shape == ():
        return shape in (rows.shape, (*rows.shape, 1))
    return shape == rows.shape and shape != rows.keepdims_shape


def _candidates(lengths: Shape, rows: Layout) -> Iterator[Shape]:
    """Yield the shapes of the rank of the losses that an array with these `lengths` may have.

    A surplus axis of length 1 is dropped: the axis of the classes, or the last one. Then axes are
    matched from the left, so that (batch,) has one value per sample, or else from the right, as
    NumPy does.
    """
    reduced, rank = rows.axis_groups[1], len(rows.loss_shape)
    shapes = [lengths]
    if len(lengths) == len(rows.shape) and all(lengths[axis] == 1 for axis in reduced):
        shapes.append(tuple(n for axis, n in enumerate(lengths) if axis not in reduced))
    if len(lengths) == rank + 1 and lengths[-1] == 1:
        shapes.append(lengths[:-1])
    for shape in shapes:
        ones = (1,) * (rank - len(shape))
        yield shape + ones
        yield ones + shape
