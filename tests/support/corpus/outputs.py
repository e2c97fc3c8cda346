"""Gradients that have nowhere to go, and upstream derivatives of another shape."""

import re
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from corpus.cases import LOSSES, Bad, X

BAD: list[Bad] = []


def _bad(
    name: str, loss: str, says: str, error: type[Exception] = ValueError, /, **given: Any
) -> None:
    BAD.append(Bad(f"{loss}: {name}", loss, given, error, says))


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


STORE = np.zeros((4, 3), np.float32)
for loss in LOSSES:
    for what, value in {
        "a list": [[0.0] * 3] * 2, "a number": 1.0, "a string": "out", "a tuple": (), "a type": np.ndarray,
        "a memoryview": memoryview(X.copy()), "a function": len, "bytes": bytes(24),
        "a masked array": np.ma.zeros((2, 3), np.float32), "a NumPy number": np.float32(1), "True": True,
    }.items():  # fmt: skip
        _bad(f"out is {what}", loss, "^out must be a NumPy array, got ", TypeError, out=value)
    for shape in [(), (2,), (3,), (6,), (3, 2), (2, 3, 1), (1, 2, 3), (2, 4), (0, 3), (4, 3)]:
        says = rf"^out must have the shape of y_pred, \(2, 3\), got {re.escape(str(shape))}$"
        _bad(f"out of shape {shape}", loss, says, out=np.zeros(shape, np.float32))
    for dtype in ("f2", "f8", ">f4", "i4", "u1", "?", "c8", "O", "U3", "V4", "M8[s]", "longdouble"):
        says = "^out must have native dtype float32, got "
        _bad(f"out of dtype {dtype}", loss, says, out=np.zeros((2, 3), dtype))
    _bad("out is read-only", loss, "^out must be writeable", out=_read_only(np.zeros_like(X)))
    _bad(
        "out is one number",
        loss,
        "^out must be writeable",
        out=np.broadcast_to(np.float32(0), (2, 3)),
    )
    for strides in [(0, 4), (4, 4), (8, 4), (4, 0), (0, 0), (-4, 4), (4, -4)]:
        says = rf"^out must not overlap itself, got strides {re.escape(str(strides))}"
        out = as_strided(np.zeros(12, np.float32)[4:], (2, 3), strides)
        _bad(f"out with strides {strides}", loss, says, out=out)
    shared = np.resize(X, (4, 3)).astype(np.float32)
    says = "^out must be y_pred itself or overlap no input, but overlaps "
    _bad("out is half of y_pred", loss, says + "y_pred$", y_pred=shared[:2], out=shared[1:3])
    _bad("out is y_pred backwards", loss, says + "y_pred$", y_pred=shared[:2], out=shared[1::-1])
    flat = np.resize(X, 12).astype(np.float32)
    square = np.array([[0.2, 0.8], [0.6, 0.4]], np.float32)
    if loss == "scce":
        _bad(
            "out is y_pred turned",
            loss,
            says + "y_pred$",
            y_pred=square,
            y_true=[0, 1],
            out=square.T,
        )
    else:
        _bad(
            "out is y_pred turned",
            loss,
            says + "y_pred$",
            y_pred=square,
            y_true=square.copy(),
            out=square.T,
        )
        _bad("out is y_true", loss, says + "y_true$", y_true=shared[:2], out=shared[:2])
    _bad(
        "out holds sample_weight",
        loss,
        says + "sample_weight$",
        sample_weight=STORE[0, :2],
        out=STORE[:2],
    )
    _bad("out holds mask", loss, says + "mask$", mask=STORE[0, :2], out=STORE[:2])
    _bad("out holds upstream", loss, says + "upstream$", upstream=STORE[0, :2], out=STORE[:2])
    for shape in [(), (1,), (3,), (2, 3), (2, 1), (1, 2), (0,)]:
        says = rf"^upstream must have the shape of the result, \(2,\), got {re.escape(str(shape))}$"
        _bad(f"upstream of shape {shape}", loss, says, upstream=np.ones(shape), reduction=None)
    for shape in [(1,), (2,), (2, 3), (1, 1), (0,)]:
        says = rf"^upstream must have the shape of the result, \(\), got {re.escape(str(shape))}$"
        _bad(
            f"upstream of shape {shape} on a sum",
            loss,
            says,
            upstream=np.ones(shape),
            reduction="sum",
        )
