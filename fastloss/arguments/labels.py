"""Class labels of any integer, boolean or float dtype, and the error for an invalid label."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastloss.arguments.arrays import FLOAT64, DType, convert, swapped_hint
from fastloss.arguments.layout import Array, Layout, Shape
from fastloss.typing import FloatArray

INT64: DType = np.dtype(np.int64)


@dataclass(slots=True)
class Labels:
    """The class labels of some rows."""

    ids: NDArray[np.int64]
    """(rows,), what kernels read. What is no 64-bit integer is stored as a negative one."""
    given: Array
    """(rows,), as the caller passed them, for error messages."""
    ignored: NDArray[np.bool_] | None
    """In the shape of the loss: where the label is ignore_class. None without an ignore_class."""

    def first_invalid(self, layout: Layout, valid: NDArray[np.bool_] | None) -> int | None:
        """Return the first `valid` row whose label is not a class; valid is None for all rows."""
        invalid = (self.ids < 0) | (self.ids >= layout.classes)
        if valid is not None:
            invalid &= valid
        return int(invalid.argmax()) if invalid.any() else None

    def check_classes(self, layout: Layout, valid: NDArray[np.bool_] | None) -> None:
        """Raise ValueError for the first label in a `valid` row that is not a class."""
        row = self.first_invalid(layout, valid)
        if row is not None:
            raise self.invalid_label(row, layout)

    def invalid_label(self, row: int, layout: Layout, first: int = 0) -> ValueError:
        """Return the error that names the label of `row`, where row 0 is called `first`."""
        label = self.given[row].item()
        if isinstance(label, float) and label.is_integer():
            label = int(label)  # NumPy makes floats of a list that contains both 0 and 2**63
        place = f"row {first + row}"
        if len(layout.loss_shape) > 1:
            index = np.unravel_index(first + row, layout.loss_shape)
            place += f", index {tuple(map(int, index))}"
        classes = layout.classes
        message = (
            f"y_true must hold labels in [0, {classes}), as y_pred has {classes} classes:"
            f" got {label} at {place}"
        )
        if isinstance(label, float):
            message += (
                "; labels are whole numbers, and probabilities go to categorical_crossentropy"
            )
        return ValueError(message)


def check_label_shape(shape: Shape, layout: Layout) -> None:
    """Raise ValueError unless labels of this shape fit the predictions."""
    if shape not in (layout.loss_shape, layout.keepdims_shape):
        hint = swapped_hint(shape, layout.shape)
        if shape == layout.shape:
            hint = "; one-hot targets are for categorical_crossentropy"
        raise ValueError(
            "y_true and y_pred must have the same shape apart from the class axis, got"
            f" {shape} and {layout.shape}: y_true of shape {layout.loss_shape} or"
            f" {layout.keepdims_shape} fits{hint}"
        )


def class_labels(y_true: Array, layout: Layout, ignore_class: int | None) -> Labels:
    """Return the labels of a sparse loss.

    y_true has y_pred's shape without the class axis, or with length 1 there, else ValueError.
    Every integer, boolean and float dtype is accepted; a float that is no whole number is an
    invalid label.
    """
    check_label_shape(y_true.shape, layout)
    given = y_true if y_true.ndim == 1 else y_true.reshape(-1)
    if ignore_class is None and given.dtype == INT64:
        flags = given.flags
        if flags.c_contiguous and flags.aligned:  # fast path: a small call takes 5 microseconds
            return Labels(given, given, None)
    if given.dtype.kind in "iub":
        exact, ids = given, convert(given, INT64)
    else:
        exact = convert(given, FLOAT64)
        whole = (np.abs(exact) < 2.0**63) & (exact == np.rint(exact))  # False for NaN
        ids = convert(np.where(whole, exact, -1.0), INT64)
    ignored = None if ignore_class is None else (exact == ignore_class).reshape(layout.loss_shape)
    return Labels(np.ascontiguousarray(ids), given, ignored)


def label_weights(labels: Labels, class_weight: FloatArray, shape: Shape) -> FloatArray:
    """Return the class weight of each label, in the `shape` of the losses.

    Invalid labels get the weight of some class: they raise later, or are in rows left out.
    """
    return class_weight.take(labels.ids, mode="clip").reshape(shape)
