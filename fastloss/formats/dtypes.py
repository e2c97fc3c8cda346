"""Which dtypes a file may hold, and bfloat16, which NumPy alone does not have."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastloss.formats.errors import FileError

READABLE = frozenset(np.dtype(code) for code in "?bhilqBHILQefd")
_BFLOAT16_IN_NPY = np.dtype("V2")
"""What NumPy writes for an array of ml_dtypes' bfloat16."""


def bfloat16(path: object) -> np.dtype[Any]:
    """Return the dtype bfloat16, which `path` needs."""
    try:
        import ml_dtypes
    except ImportError:
        raise FileError(
            f"{path}: bfloat16 needs the package ml_dtypes: pip install ml_dtypes"
            " (fastloss's extra half)"
        ) from None
    dtype: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return dtype


TEXT: np.dtype[Any] = np.dtype(object)
"""Of the strings that readers of columns give."""


def is_text(dtype: np.dtype[Any]) -> bool:
    """Return whether an array of a file holds strings."""
    return dtype.kind in "OU"


def checked_dtype(path: object, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype of an array in a file; raise FileError unless of numbers or strings."""
    if dtype == _BFLOAT16_IN_NPY:
        return bfloat16(path)
    if dtype.name == "bfloat16" or dtype.kind == "U":
        return dtype
    if dtype.newbyteorder("=") not in READABLE:
        raise FileError(
            f"{path}: dtype must be bool, an integer, float16, bfloat16, float32 or float64, "
            f"got {dtype}"
        )
    return dtype
