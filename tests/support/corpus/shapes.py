"""Shapes that do not go together, and axes that are not there."""

import re

import numpy as np

from corpus.cases import DENSE, LOSSES, Bad, X


def _ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


BAD: list[Bad] = []


def _add(name: str, loss: str, says: str, **given: object) -> None:
    BAD.append(Bad(f"{loss}: {name}", loss, given, ValueError, says))


for loss in LOSSES:
    for what, y_pred in {
        "a number": 0.5,
        "a NumPy number": np.float32(0.5),
        "an array without axes": np.array(0.5),
        "a NumPy integer": np.int64(3),
        "a boolean": True,
    }.items():
        _add(
            f"y_pred is {what}",
            loss,
            r"^y_pred must have at least one axis, got shape \(\): \[y_pred\], .*fits$",
            y_pred=y_pred,
        )

# y_true against a y_pred of shape (2, 3), under both rules: exactly its shape, or what broadcasts.
for loss in DENSE:
    broadcast = loss in ("poisson", "kld")
    wrong = [
        (2,),
        (3, 2),
        (6,),
        (2, 4),
        (1, 2, 3),
        (2, 3, 2),
        (0,),
        (0, 3),
        (2, 0),
        (4, 3),
        (2, 3, 1, 1),
    ]
    if not broadcast:
        wrong += [(), (3,), (1, 3), (2, 1), (1,), (1, 1)]
    rule = r"\(or y_true one that broadcasts to that of y_pred\), " if broadcast else ", "
    for shape in wrong:
        says = f"must have the same shape ?{rule}got {re.escape(str(shape))} and "
        _add(f"y_true has shape {shape}", loss, says, y_true=_ones(*shape))
    for shape in [(4,), (5, 3), (3, 2), (2, 4, 3), (0, 3), (2, 0), (2, 4)]:
        says = rf"must have the same shape.*got \(2, 3\) and {re.escape(str(shape))}: .*fits(; class labels are for .*)?$"
        _add(f"y_pred has shape {shape}", loss, says, y_pred=_ones(*shape))

for shape in [(), (1,), (3,), (2, 3), (2, 2), (1, 2), (0,), (2, 1, 3), (4,), (2, 0)]:
    says = rf"apart from the class axis, got {re.escape(str(shape))} and \(2, 3\): y_true of shape \(2,\)"
    _add(f"y_true has shape {shape}", "scce", says, y_true=np.ones(shape, int))
for shape in [(2,), (3,), (5, 3), (0,), (0, 3), (3, 2), (2, 2, 3), (1, 3)]:
    says = rf"apart from the class axis, got \(2,\) and {re.escape(str(shape))}: y_true of shape .* fits"
    _add(f"y_pred has shape {shape}", "scce", says, y_pred=_ones(*shape))

for loss in LOSSES:
    for axis in (2, -3, 7, -100, 2**31, 2**40, -(2**63)):
        says = rf"^axis must lie in \[-2, 2\) for y_pred of shape \(2, 3\), got {axis}$"
        _add(f"axis {axis}", loss, says, axis=axis)
    _add("rank 1, axis 1", loss, r"axis must lie in \[-1, 1\)", axis=1, y_pred=X[0], y_true=X[0, 0])
for axes in [(0, 2), (2,), (-3, 0), (0, 1, 2)]:
    says = rf"^axis must lie in \[-2, 2\) .*got {re.escape(str(axes))}$"
    _add(f"axis {axes}", "bce", says, axis=axes)
    _add(f"axis {axes}", "poisson", says, axis=axes)
for axes in [(0, 0), (1, -1), (-2, 0), (0, 1, -1)]:
    says = rf"^axis must name each axis once, got {re.escape(str(axes))}"
    _add(f"axis {axes}", "bce", says, axis=axes)
