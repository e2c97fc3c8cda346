"""Class labels: of any integer, boolean or float dtype, and what is said of those that are none."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastloss.arrays import FLOAT64, DType, convert
from fastloss.layout import Array, Layout

INT64: DType = np.dtype(np.int64)


@dataclass(slots=True)
class Labels:
    """Class labels."""

    ids: NDArray[np.int64]
    """(rows,), what kernels read; a label that is no integer of 64 bits is a negative one."""
    given: Array
    """(rows,), as they came, for messages."""
    ignored: NDArray[np.bool_] | None
    """In the shape of the loss, where the label is ignore_class; None without one."""

    def check(self, layout: Layout, valid: NDArray[np.bool_] | None, first: int = 0) -> None:
        """Raise ValueError for the first label that is no class though its row is `valid`.

        These are the labels of the rows from `first` on.
        """
        outside = (self.ids < 0) | (self.ids >= layout.form[1])
        if valid is not None:
            outside &= valid
        if outside.any():
            raise self.error(int(outside.argmax()), layout, first)

    def error(self, row: int, layout: Layout, first: int = 0) -> ValueError:
        """Return the error that names the label of `row`, counted from `first`."""
        label = self.given[row].item()
        if isinstance(label, float) and label.is_integer():
            label = int(label)  # a list with both 0 and 2**63 in it reaches us as floats
        place = f"row {first + row}"
        if len(layout.kept) > 1:
            place += f", index {tuple(map(int, np.unravel_index(first + row, layout.kept)))}"
        classes = layout.form[1]
        return ValueError(
            f"y_true must hold labels in [0, {classes}), as y_pred has {classes} classes:"
            f" got {label} at {place}"
        )


def class_labels(y_true: Array, layout: Layout, ignore_class: int | None) -> Labels:
    """Return the labels of a sparse loss.

    y_true has y_pred's shape without the class axis, or with length 1 there, else ValueError.
    Every integer, boolean and float dtype will do; floats are truncated toward zero, after they
    were compared with ignore_class.
    """
    if y_true.shape != layout.kept and y_true.shape != layout.thin:
        raise ValueError(
            "y_true and y_pred must have the same shape apart from the class axis,"
            f" got {y_true.shape} and {layout.whole}, where {layout.kept} was expected"
        )
    given = y_true if y_true.ndim == 1 else y_true.reshape(-1)
    if ignore_class is None and given.dtype == INT64:
        flags = given.flags
        if flags.c_contiguous and flags.aligned:  # nothing to do: a small call takes 5 microseconds
            return Labels(given, given, None)
    if given.dtype.kind in "iub":
        exact, ids = given, convert(given, INT64)
    else:
        exact = convert(given, FLOAT64)
        inside = np.abs(exact) < 2.0**63  # NaN is not, so that the conversion is defined
        ids = convert(np.where(inside, exact, -1.0), INT64)
    ignored = None if ignore_class is None else (exact == ignore_class).reshape(layout.kept)
    return Labels(np.ascontiguousarray(ids), given, ignored)
