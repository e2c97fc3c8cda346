"""Options that are none: of the wrong type, out of range, unknown, or of another loss."""

import decimal
from typing import Any

import ml_dtypes
import numpy as np

from corpus.cases import LOSSES, Bad

NOTHING: dict[str, Any] = {
    "a string": "abc",
    "an empty string": "",
    "bytes": b"1",
    "a list": [0.5],
    "a dict": {},
    "a set": {1},
    "a complex number": 1j,
    "a function": len,
    "an object": object(),
    "an array": np.array([0.5, 0.5]),
    "a Decimal": decimal.Decimal("0.5"),
    "an ellipsis": ...,
}

BAD: list[Bad] = []


def _bad(
    name: str, loss: str, says: str, error: type[Exception] = ValueError, /, **given: Any
) -> None:
    BAD.append(Bad(f"{loss}: {name}", loss, given, error, says))


for loss, switch in {
    "bce": "from_logits",
    "cce": "from_logits",
    "scce": "from_logits",
    "poisson": "log_input",
}.items():
    says = f"^{switch} must be True or False, got "
    for what, value in {
        **NOTHING,
        "None": None,
        "1": 1,
        "0": 0,
        "1.0": 1.0,
        "'True'": "True",
    }.items():
        _bad(f"{switch} is {what}", loss, says, **{switch: value})
for loss in ("bce", "cce", "scce"):
    says = r"^label_smoothing must be a number in \[0, 1\], got "
    for what, value in {
        **NOTHING, "None": None, "True": True, "'0.1'": "0.1", "-0.1": -0.1, "-5e-324": -5e-324, "1.5": 1.5,
        "2": 2, "-1": -1, "nan": np.nan, "inf": np.inf, "-inf": -np.inf, "10**400": 10**400,
        "10**5000": 10**5000, "float32 above 1": np.nextafter(np.float32(1), np.float32(2)),
        "an array of one": np.array([0.1]), "a boolean of NumPy": np.True_,
    }.items():  # fmt: skip
        _bad(f"label_smoothing is {what}", loss, says, label_smoothing=value)
for loss in LOSSES:
    values = {
        **NOTHING,
        "True": True,
        "1.0": 1.0,
        "'-1'": "-1",
        "nan": np.nan,
        "np.True_": np.True_,
    }
    values["a list of floats"] = [0.0]
    values["a list of booleans"] = [True]
    if loss not in ("bce", "poisson"):
        values |= {"None": None, "a tuple": (0, 1), "an empty tuple": (), "a tuple of one": (1,)}
    for what, value in values.items():
        _bad(f"axis is {what}", loss, "^axis must be an integer, got ", axis=value)
    for what, value in {"10**30": 10**30, "10**5000": 10**5000, "-2**70": -(2**70)}.items():
        _bad(
            f"axis is {what}", loss, "^axis must be an integer of 64 bits, got one of ", axis=value
        )
for what, value in {
    **NOTHING,
    "True": True,
    "1.0": 1.0,
    "nan": np.nan,
    "np.False_": np.False_,
}.items():
    _bad(
        f"ignore_class is {what}",
        "scce",
        "^ignore_class must be an integer, got ",
        ignore_class=value,
    )
for what, value in {
    "10**400": 10**400,
    "2**64": 2**64,
    "-2**64": -(2**64),
    "10**5000": 10**5000,
}.items():
    says = "^ignore_class must be an integer of 64 bits, got one of "
    _bad(f"ignore_class is {what}", "scce", says, ignore_class=value)
    _bad(
        f"ignore_class is {what}, float labels", "scce", says, ignore_class=value, y_true=[1.0, 2.0]
    )
_bad("a reduction where ignore_class stands", "scce", "legacy order", ignore_class="sum")

for loss in LOSSES:
    says = '^reduction must be None, "auto" or one of none, sum, .* got '
    for what, value in {
        **NOTHING, "True": True, "0": 0, "nan": np.nan, "'SUM'": "SUM", "'None'": "None", "'max'": "max",
        "'average'": "average", "' sum'": " sum", "'batchmean'": "batchmean",
    }.items():  # fmt: skip
        _bad(f"reduction is {what}", loss, says, reduction=value)
    says = "^dtype must be None or one of float16, bfloat16, float32, float64, got "
    for what, value in {
        **NOTHING, "'int32'": "int32", "'float'": "float", "'f4'": "f4", "'float128'": "float128",
        "'Float32'": "Float32", "'complex64'": "complex64", "'bool'": "bool", "True": True, "32": 32,
        "int": int, "np.int8": np.int8, "np.floating": np.floating, "object's type": object,
        "float8": ml_dtypes.float8_e4m3fn, "np.longdouble": np.longdouble,
        "a dtype": np.dtype("i4"), "records": np.dtype([("a", "f4")]), "'mixed_float32'": "mixed_float32",
    }.items():  # fmt: skip
        _bad(f"dtype is {what}", loss, says, dtype=value)
    for what, value in {"a number": 3, "a list": ["a"], "bytes": b"a", "True": True}.items():
        _bad(f"name is {what}", loss, "^name must be None or a string, got ", name=value)
    for option in ("logits", "eps", "epsilon", "weight", "weights", "ignore_index", "temperature"):
        says = rf"takes no {option}: "
        _bad(f"unknown option {option}", loss, says, TypeError, **{option: 1})

NEUTRAL = {
    "from_logits": True, "label_smoothing": 0.1, "axis": -1, "ignore_class": 1, "class_weight": [1, 1, 1],
    "pos_weight": 1.0, "log_input": True,
}  # fmt: skip
for loss, family in LOSSES.items():
    for option, value in NEUTRAL.items():
        if option not in family.options:
            says = rf"takes no {option}: "
            typed = rf"takes no --{option.replace('_', '-')}$"
            BAD.append(
                Bad(f"{loss}: takes no {option}", loss, {option: value}, TypeError, says, typed)
            )
