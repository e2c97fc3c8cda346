"""A case as files and words on the command line, where it can be one."""

from pathlib import Path
from typing import Any

import numpy as np

from corpus.cases import LOSSES, Bad, Case
from fastloss.formats.dtypes import READABLE

FILES = {"y_pred": "x.npy", "y_true": "y.npy", "sample_weight": "w.npy", "mask": "m.npy"}
SWITCHES = {"sample_weight": "--weights", "mask": "--mask", "class_weight": "--class-weight"}
WORDS = {"reduction": str, "dtype": str, "label_smoothing": float, "ignore_class": int}


def _fileable(value: Any, spoilt: bool) -> bool:
    """Return whether a file can hold `value`; if `spoilt`, of a dtype that no file may have."""
    if isinstance(value, np.ndarray) and spoilt:
        return type(value) is np.ndarray and value.dtype.isbuiltin == 1
    parts = value if isinstance(value, list | tuple) else [value]
    if any(isinstance(part, np.ma.MaskedArray) for part in parts):
        return False  # saved, it would be a plain array
    if not isinstance(value, np.ndarray | list | tuple):
        return isinstance(value, np.generic) and value.dtype in READABLE
    try:
        return np.asarray(value).dtype.newbyteorder("=") in READABLE
    except (ValueError, UserWarning):  # ragged; or masked, which would be saved as NaN
        return False


def words(case: Case) -> list[str] | None:
    """Return the arguments of `fastloss evaluate` beside the files, None where there are none."""
    arguments = ["--loss", LOSSES[case.loss].function.__name__, "--reduction", "none"]
    spoilt = isinstance(case, Bad) and case.typed is not None
    for name, value in case.given.items():
        if isinstance(value, int) and value.bit_length() > 1000:
            return None  # Python itself would not write it
        switch = f"--{name.replace('_', '-')}"
        if name in FILES or name == "class_weight":
            if not _fileable(value, spoilt):
                return None
            if name in SWITCHES:
                arguments += [SWITCHES[name], FILES.get(name, "c.npy")]
        elif name in ("from_logits", "log_input") and value is True:
            arguments.append(switch)
        elif name == "axis" and type(value) is int:
            arguments += [switch, str(value)]
        elif name == "axis" and isinstance(value, tuple) and len(value) > 1:
            arguments += [switch, ",".join(map(str, value))]
        elif name == "pos_weight" and type(value) is float:
            arguments += [switch, str(value)]
        elif name == "pos_weight" and _fileable(value, spoilt):
            arguments += [switch, "c.npy"]
        elif name in WORDS and type(value) is WORDS[name]:
            arguments += [switch, str(value)]
        else:
            return None
    return arguments


def save(case: Case, folder: Path) -> None:
    """Write the files of a case."""
    arrays = {name: case.argument(name) for name in ("y_pred", "y_true")}
    arrays |= case.some("sample_weight", "mask", "class_weight", "pos_weight")
    for name, value in arrays.items():
        np.save(folder / FILES.get(name, "c.npy"), np.asarray(value), allow_pickle=True)
