"""What is no array of real numbers, in the place of every array."""

import datetime
import decimal
import fractions
import re
from typing import Any

import ml_dtypes
import numpy as np

from corpus.cases import LOSSES, Bad, X


class Unwilling:
    """Says that it is an array, and is none."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return "nothing of the kind"


class Sequence:
    """Has a length, and none of its elements."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> float:
        raise KeyError(index)


RECURSIVE: list[Any] = []
RECURSIVE.append(RECURSIVE)
NESTED: Any = 1.0
for _ in range(70):
    NESTED = [NESTED]
RECORDS = np.zeros((2, 3), [("a", "f4")])

# what it is -> (the value, how the dtype is named in the message)
NO_NUMBERS: dict[str, tuple[Any, str]] = {
    "a string": ("abc", "<U3 from a str"),
    "bytes": (b"abc", "|S3 from a bytes"),
    "a dict": ({0: 1.0, 1: 2.0}, "object from a dict"),
    "a set": ({1.0, 2.0}, "object from a set"),
    "a generator": ((n for n in ()), "object from a generator"),
    "a map": (map(float, "12"), "object from a map"),
    "a function": (len, "object from a builtin_function_or_method"),
    "a type": (float, "object from a type"),
    "an object": (object(), "object from an object"),
    "a module": (np, "object from a module"),
    "a complex number": (1j, "complex128 from a complex"),
    "an ellipsis": (..., "object from an ellipsis"),
    "a slice": (slice(1), "object from a slice"),
    "a date": (datetime.date(2020, 1, 1), "object from a date"),
    "an unwilling sequence": (Sequence(), "object from a Sequence"),
    "a list of None": ([[None] * 3] * 2, "object from a list"),
    "a list of strings": ([["1", "2", "3"]] * 2, "<U1 from a list"),
    "a list of decimals": ([[decimal.Decimal(1)] * 3] * 2, "object from a list"),
    "a list of fractions": ([[fractions.Fraction(1, 3)] * 3] * 2, "object from a list"),
    "a list of integers beyond 64 bits": ([[2**70] * 3] * 2, "object from a list"),
    "a list of dicts": ([{}], "object from a list"),
    "a list of complex": ([[1j] * 3] * 2, "complex128 from a list"),
    "a list of dates": ([[datetime.date(2020, 1, 1)] * 3] * 2, "object from a list"),
    "an integer beyond all floats": (10**400, "object from an int"),
    "complex64": (X.astype(np.complex64), "complex64"),
    "complex128": (X.astype(complex), "complex128"),
    "clongdouble": (X.astype(np.clongdouble), "complex256"),
    "strings": (X.astype(str), "<U32"),
    "byte strings": (X.astype("S4"), "|S4"),
    "variable strings": (np.array([["a"] * 3] * 2, np.dtypes.StringDType()), "StringDType()"),
    "objects": (X.astype(object), "object"),
    "objects that are arrays": (np.array([X, None], object), "object"),
    "dates": (np.array([["2020-01-01"] * 3] * 2, "M8[D]"), "datetime64[D]"),
    "not a time": (np.full((2, 3), "NaT", "M8[s]"), "datetime64[s]"),
    "durations": (np.ones((2, 3), "m8[s]"), "timedelta64[s]"),
    "raw memory": (np.zeros((2, 3), "V4"), "|V4"),
    "records": (RECORDS, "[('a', '<f4')]"),
    "a recarray": (RECORDS.view(np.recarray), "(numpy.record, [('a', '<f4')])"),
    "float8": (X.astype(ml_dtypes.float8_e4m3fn), "float8_e4m3fn"),
    "int4": (np.ones((2, 3), ml_dtypes.int4), "int4"),
}
if np.dtype(np.longdouble).itemsize != 16:
    del NO_NUMBERS["clongdouble"]  # it has another name elsewhere

MASKED: dict[str, Any] = {
    "a masked array": np.ma.array(X, mask=X > 0.5),
    "a masked array without a mask": np.ma.array(X),
    "a masked array, all hidden": np.ma.masked_all((2, 3)),
    "the masked constant": np.ma.masked,
    "a list of masked arrays": [np.ma.array(row, mask=row > 0.5) for row in X],
    "a tuple of masked arrays": tuple(np.ma.array(row) for row in X),
    "a list of lists with a masked element": [[0.1, np.ma.masked, 0.5]] * 2,
    "a masked array three lists deep": [[[np.ma.array(1.0, mask=True)]]],
}

RAGGED: dict[str, Any] = {
    "a ragged list": [[1.0, 2.0], [3.0]],
    "ragged arrays in a list": [np.ones(2), np.ones(3)],
    "a list of rows and a number": [[1.0, 2.0], 3.0],
    "a list that holds itself": RECURSIVE,
    "a list 70 deep": NESTED,
    "an unwilling array": Unwilling(),
}

# every array argument, and a loss that takes it
PLACES = [
    *((name, "y_pred") for name in LOSSES),
    *((name, "y_true") for name in LOSSES),
    ("kld", "sample_weight"),
    ("scce", "mask"),
    ("poisson", "upstream"),
    ("cce", "class_weight"),
    ("scce", "class_weight"),
    ("bce", "pos_weight"),
]

# What else the message says of objects.
REMEDY = r"(, whose element .*|, whose elements are lists: pass .*|: pass np\.asarray\(.*)?"
# The command line reads files, whose dtype is refused before anything is made of it.
FILES = "dtype must be bool, an integer, float16, bfloat16, float32 or float64, got "


def _cases() -> list[Bad]:
    found = []
    for loss, place in PLACES:
        for what, (value, dtype) in NO_NUMBERS.items():
            if place == "class_weight" and isinstance(value, dict):
                continue  # the weights of some classes
            says = f"^{place} must hold real numbers, got dtype {re.escape(dtype)}{REMEDY}$"
            typed = re.escape(FILES) if isinstance(value, np.ndarray) else None
            found.append(
                Bad(f"{loss}: {place} is {what}", loss, {place: value}, TypeError, says, typed)
            )
        for what, value in MASKED.items():
            says = f"^{place} must be a plain array, got a masked array"
            found.append(Bad(f"{loss}: {place} is {what}", loss, {place: value}, TypeError, says))
        for what, value in RAGGED.items():
            says = f"^{place} must be a rectangular array of numbers: "
            found.append(Bad(f"{loss}: {place} is {what}", loss, {place: value}, ValueError, says))
        if place in ("y_pred", "y_true"):  # None is what the others are by default
            says = f"^{place} must hold real numbers, got dtype object from a NoneType$"
            found.append(Bad(f"{loss}: {place} is None", loss, {place: None}, TypeError, says))
    return found


BAD = _cases()
