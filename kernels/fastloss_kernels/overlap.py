"""What may share memory with the gradient: the predictions, element on element, or nothing."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def overlaps_itself(array: NDArray[Any]) -> bool:
    """Return whether some axis steps over less than the axes below it cover."""
    if array.flags.c_contiguous:
        return False
    covered = array.itemsize
    for step, length in sorted(
        (abs(s), n) for s, n in zip(array.strides, array.shape, strict=True)
    ):
        if length > 1 and step < covered:
            return array.size > 0
        covered += step * (length - 1)
    return False


def overlapped(grad: NDArray[Any], inputs: dict[str, Any], itself: str) -> str:
    """Return the name of an input that `grad` may not share memory with but does, or "".

    It may stand exactly on the input called `itself`; inputs that are None share nothing.
    """
    for name, array in inputs.items():
        if array is None or not np.shares_memory(grad, array):
            continue
        if name != itself or not _same_elements(grad, array):
            return name
    return ""


def _same_elements(a: NDArray[Any], b: NDArray[Any]) -> bool:
    return a is b or (a.shape, a.strides, a.dtype, a.__array_interface__["data"][0]) == (
        b.shape,
        b.strides,
        b.dtype,
        b.__array_interface__["data"][0],
    )
