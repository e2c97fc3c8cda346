"""Class labels that are no class, and labels of every kind that are."""

import re
from typing import Any

import numpy as np

from corpus.cases import Bad, Odd, X

SIGNED, UNSIGNED = ("int8", "int16", "int32", "int64"), ("uint8", "uint16", "uint32", "uint64")
FLOATS = ("float16", "float32", "float64")
STRAY = (-(2**63), -(10**11), -(2**31) - 1, -129, -100, -7, -1, 3, 4, 127, 255, 256, 65535, 10**11,
         2**31, 2**32, 2**32 + 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1)  # fmt: skip

BAD: list[Bad] = []
ODD: list[Odd] = []


def _bad(name: str, shown: str, **given: Any) -> None:
    says = rf"^y_true must hold labels in \[0, 3\), as y_pred has 3 classes: got {re.escape(shown)} at row 1"
    says += "$" if shown.lstrip("-").isdigit() else "; labels are whole numbers, and .*$"
    BAD.append(Bad(f"scce: {name}", "scce", given, ValueError, says))


for dtype in (*SIGNED, *UNSIGNED):
    limits = np.iinfo(dtype)
    for label in STRAY:
        if limits.min <= label <= limits.max:
            _bad(f"label {label} of {dtype}", str(label), y_true=np.array([0, label], dtype))
for dtype in FLOATS:
    for label in (-7.0, -1.0, 3.0, 3.5, 0.5, -0.25, 100.0, np.nan, np.inf, -np.inf, 65504.0):
        shown = str(int(label)) if label.is_integer() else str(label)
        _bad(f"label {label} of {dtype}", shown, y_true=np.array([0, label], dtype))
for label in (2.0**63, -(2.0**63), 1e300, -1e300, 2.0**64):
    _bad(f"label {label} of float64", str(int(label)), y_true=np.array([0, label]))
_bad("a fraction beside an ignored class", "1.5", y_true=[0, 1.5], ignore_class=1)
for label in (3, -1, 99, 2**40):
    _bad(f"label {label} of a list", str(label), y_true=[0, label])
    _bad(f"label {label} big-endian", str(label), y_true=np.array([0, label], ">i8"))
    _bad(f"label {label}, logits", str(label), y_true=[0, label], from_logits=True)
    _bad(f"label {label}, another ignored", str(label), y_true=[0, label], ignore_class=7)
    _bad(f"label {label}, weight 0", str(label), y_true=[0, label], sample_weight=[1, 0])
    _bad(f"label {label}, class weights", str(label), y_true=[0, label], class_weight=[1, 0, 2])
    _bad(f"label {label}, every row kept", str(label), y_true=[0, label], mask=[True, True])
    _bad(f"label {label} beside the class axis", str(label), y_true=np.array([[0], [label]]))
    _bad(f"label {label}, axis 0", str(label), y_true=[0, label], y_pred=X.T, axis=0)
BAD += [
    Bad("scce: label 0 of no classes", "scce", {"y_true": [0], "y_pred": np.zeros((1, 0))},
        ValueError, r"labels in \[0, 0\), as y_pred has 0 classes: got 0 at row 0$"),
    Bad("scce: the first of many", "scce", {"y_true": [0, 5, 9, 5], "y_pred": np.ones((4, 3))},
        ValueError, "got 5 at row 1$"),
    Bad("scce: a row of a matrix", "scce",
        {"y_true": [[0, 1], [2, 3]], "y_pred": np.ones((2, 2, 3))},
        ValueError, r"got 3 at row 3, index \(1, 1\)$"),
    Bad("scce: True of one class", "scce", {"y_true": [True], "y_pred": np.ones((1, 1))},
        ValueError, r"labels in \[0, 1\).*got True at row 0$"),
]  # fmt: skip

EXPECTED = -np.log(np.array([X[0, 1], X[1, 2]], np.float64))
KINDS = (*SIGNED, *UNSIGNED, *FLOATS, ">i2", ">u8", ">f8", "longdouble")
FIRST, LAST = -np.log(np.float64(X[0, 0])), -np.log(np.float64(X[1, 2]))
ODD += [
    *(Odd(f"scce: labels of {d}", "scce", {"y_true": np.array([1, 2], d)}, EXPECTED) for d in KINDS),
    Odd("scce: boolean labels", "scce", {"y_true": [True, False]}, -np.log([X[0, 1], X[1, 0]])),
    Odd("scce: -0.0 is class 0", "scce", {"y_true": [-0.0, 2]}, [FIRST, LAST]),
    Odd("scce: a fraction masked", "scce", {"y_true": [1.7, 2], "mask": [False, True]}, [0, LAST]),
    Odd("scce: a stray label masked", "scce", {"y_true": [99, 2], "mask": [0, 1]}, [0, LAST],
        [[0, 0, 0], [1, 1, -9]]),
    Odd("scce: NaN masked", "scce", {"y_true": [np.nan, 2], "mask": [False, True]}, [0, LAST]),
    Odd("scce: ignored", "scce", {"y_true": [255, 2], "ignore_class": 255}, [0, LAST]),
    Odd("scce: ignored, uint64", "scce",
        {"y_true": np.array([2**64 - 1, 2], np.uint64), "ignore_class": 2**64 - 1}, [0, LAST]),
    Odd("scce: -1 is not 255", "scce",
        {"y_true": np.array([0, 2], np.uint8), "ignore_class": -1}, [FIRST, LAST]),
    Odd("scce: ignored holds anything", "scce",
        {"y_true": [9, 2], "ignore_class": 9, "y_pred": np.array([[np.nan, np.inf, -np.inf], X[1]], np.float32)},
        [0, LAST], [[0, 0, 0], [1, 1, -9]]),
]  # fmt: skip
