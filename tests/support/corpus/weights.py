"""Weights and masks that do not fit or are no weights, and odd ones that are."""

import re
from typing import Any

import numpy as np

from corpus.cases import LOSSES, Bad, Odd, X

BAD: list[Bad] = []


def _bad(name: str, loss: str, says: str, **given: Any) -> None:
    BAD.append(Bad(f"{loss}: {name}", loss, given, ValueError, says))


MISFITS = [(3,), (2, 2), (3, 1), (2, 3), (1, 2, 1), (2, 1, 1), (0,), (0, 1), (1, 0), (4,), (2, 0)]
for loss in LOSSES:
    for place in ("sample_weight", "mask"):
        for shape in MISFITS:
            if shape == (2, 3) and loss in ("bce", "poisson"):  # one for each element
                continue
            says = rf"^{place} must fit the shape of the losses, \(2,\),.*got shape {re.escape(str(shape))}$"
            _bad(f"{place} of shape {shape}", loss, says, **{place: np.ones(shape)})
for shape in [(2,), (2, 3), (4, 3), (3, 2, 2), (3, 4, 3), (1, 3, 4)]:
    says = rf"must fit the shape of the losses, \(3, 4\),.*got shape {re.escape(str(shape))}$"
    matrix = {"y_true": np.ones((3, 4, 2)), "y_pred": np.full((3, 4, 2), 0.5)}
    _bad(f"sample_weight {shape} on (3, 4)", "bce", says, **matrix, sample_weight=np.ones(shape))

for what, mask in {
    "NaN": [np.nan, 1.0],
    "float32 NaN": np.array([1, np.nan], np.float32),
    "float16 NaN": np.array([1, np.nan], np.float16),
    "only NaN": np.array(np.nan),
    "weights": [0.5, 1.0],
}.items():
    for loss in LOSSES:
        says = f"^mask must hold True and False, .*: got {np.min(mask)}; .*sample_weight$"
        _bad(f"a mask of {what}", loss, says, mask=mask)

for place, losses in {"class_weight": ("cce", "scce"), "pos_weight": ("bce",)}.items():
    for loss in losses:
        for value in (-1.0, -1e-30, np.nan, np.inf, -np.inf):
            says = rf"^{place} must be finite and not negative, got {value}$"
            _bad(f"{place} with {value}", loss, says, **{place: np.array([1.0, value, 1.0])})
            _bad(f"{place}, all {value}", loss, says, **{place: [value] * 3})
        _bad(f"{place} with -1 of int8", loss, "not negative, got -1$",
             **{place: np.array([1, 2, -1], np.int8)})  # fmt: skip
for loss in ("cce", "scce"):
    for shape in [(2,), (4,), (1,)]:
        says = rf"^class_weight must be of shape \(3,\), one weight for each of the 3 classes, or a mapping .*, got shape {re.escape(str(shape))}$"
        _bad(f"class_weight of shape {shape}", loss, says, class_weight=np.ones(shape))
    for shape in [(), (0,), (1, 3), (3, 1), (2, 3)]:
        says = rf"^class_weight must be of shape \(C,\), one weight for each of C classes, or a mapping .*, got shape {re.escape(str(shape))}$"
        _bad(f"class_weight of shape {shape}", loss, says, class_weight=np.ones(shape))
for shape in [(2,), (4,), (2, 3), (3, 1), (0,), (1, 3), (1, 1)]:
    says = rf"^pos_weight must be a number or broadcast to the averaged axes, \(3,\), got shape {re.escape(str(shape))}$"
    _bad(f"pos_weight of shape {shape}", "bce", says, pos_weight=np.ones(shape))
HUGE = [1.0, 1e300, 1.0]
_bad("class_weight beyond float32", "cce", r"^class_weight must be finite in float32, got 1e\+300$",
     class_weight=HUGE)  # fmt: skip
_bad("pos_weight beyond float32", "bce", r"^pos_weight must be finite in float32, got 1e\+300$",
     pos_weight=HUGE)  # fmt: skip

ROWS = -np.log(np.array([X[0, 1], X[1, 2]], np.float64))
SLOPES = np.array([[1, 1 - 1 / np.float64(X[0, 1]), 1], [1, 1, 1 - 1 / np.float64(X[1, 2])]])
WEIGHTED = "mean_with_sample_weight"
NAN, INF = np.nan, np.inf
SPOILT = np.array([[NAN, NAN, NAN], X[1]], np.float32)


def _mean(name: str, weights: Any, value: float, grad: Any = None, **more: Any) -> Odd:
    given = {"sample_weight": weights, "reduction": WEIGHTED, **more}
    return Odd(f"scce: weighted mean, {name}", "scce", given, value, grad)


MEAN, HALF = ROWS.mean(), SLOPES / 2
ODD: list[Odd] = [
    *(_mean(f"all {w}", [w, w], MEAN, HALF)
      for w in (1, 0.5, 5e-324, 1e-310, 1e-200, 1e200, 1e308, 1.7e308)),
    _mean("one far larger", [1e308, 1e-300], ROWS[0], SLOPES * [[1], [0]]),
    _mean("weights that cancel", [1, -1], 0.0, 0 * SLOPES),
    _mean("weights that cancel, NaN", [1, -1], 0.0, 0 * SLOPES, y_pred=SPOILT),
    _mean("no weight", [0, 0], 0.0, 0 * SLOPES),
    _mean("a number", 2.3, MEAN, HALF),
    _mean("NaN", [NAN, 1], NAN),
    _mean("inf", [INF, 1], NAN),
    _mean("inf masked", [INF, 1], ROWS[1], SLOPES * [[0], [1]], mask=[0, 1]),
    _mean("NaN masked", [NAN, 2], ROWS[1], SLOPES * [[0], [1]], mask=[0, 1]),
    _mean("all masked", [1, 2], 0.0, 0 * SLOPES, mask=[0, 0]),
    _mean("all ignored", [1, 2], 0.0, 0 * SLOPES, y_true=[9, 9], ignore_class=9),
    _mean("masked and ignored", [1, 2], 0.0, 0 * SLOPES, y_true=[9, 2], mask=[1, 0], ignore_class=9),
]  # fmt: skip
for weights, factor in {
    "2": (2, [2, 2]),
    "True": (True, [1, 1]),
    "(2,)": ([2, 3], [2, 3]),
    "(2, 1)": ([[2], [3]], [2, 3]),
    "(1,)": ([2], [2, 2]),
    "(1, 1)": ([[2]], [2, 2]),
    "negative": ([-1, 2], [-1, 2]),
    "0 on a row": ([0, 2], [0, 2]),
    "-0.0 on a row": ([-0.0, 2], [0, 2]),
    "float16": (np.array([2, 3], np.float16), [2, 3]),
    "uint8": (np.array([2, 255], np.uint8), [2, 255]),
    "bool": ([True, False], [1, 0]),
    "int64 beyond float64": (np.array([2**62, 2**62 + 1]), [2.0**62, 2.0**62]),
    "tiny": ([1e-320, 1], [0, 1]),
    "backwards": (np.array([3.0, 2.0])[::-1], [2, 3]),
    "of every other": (np.array([2.0, 9, 3, 9])[::2], [2, 3]),
    "one, repeated": (np.broadcast_to(2.0, 2), [2, 2]),
}.items():
    by_row = np.array(factor[1], float)
    ODD.append(
        Odd(f"scce: weights {weights}", "scce", {"sample_weight": factor[0], "reduction": None},
            ROWS * by_row, SLOPES * by_row[:, None])
    )  # fmt: skip
for mask, kept in {
    "True": (True, [1, 1]),
    "False": (False, [0, 0]),
    "0 and 1": ([0, 1], [0, 1]),
    "(2, 1)": ([[False], [True]], [0, 1]),
    "(1,)": ([False], [0, 0]),
    "-1 and 2.0": ([-1, 2.0], [1, 1]),
    "0.0 and inf": ([0.0, INF], [0, 1]),
    "uint8": (np.array([0, 255], np.uint8), [0, 1]),
    "backwards": (np.array([True, False])[::-1], [0, 1]),
    "one, repeated": (np.broadcast_to(np.True_, 2), [1, 1]),
    "-0.0": ([-0.0, 1], [0, 1]),
}.items():
    by_row = np.array(kept[1], float)
    ODD.append(
        Odd(f"scce: mask {mask}", "scce", {"mask": kept[0], "reduction": "sum"},
            float((ROWS * by_row).sum()), SLOPES * by_row[:, None])
    )  # fmt: skip
for name, given in {
    "weight 0": {"sample_weight": [0, 1]},
    "mask False": {"mask": [False, True]},
    "a weight of 0 and a mask": {"sample_weight": [0, 1], "mask": [True, True]},
}.items():
    for value in (NAN, INF, -INF):
        spoilt = np.array([[value] * 3, X[1]], np.float32)
        ODD.append(
            Odd(f"scce: {name} on a row of {value}", "scce",
                {**given, "y_pred": spoilt, "reduction": "sum"}, ROWS[1], SLOPES * [[0], [1]])
        )  # fmt: skip
ODD += [
    Odd("scce: NaN as a weight", "scce", {"sample_weight": [NAN, 1], "reduction": None},
        [NAN, ROWS[1]]),
    Odd("scce: inf as a weight", "scce", {"sample_weight": [INF, 1], "reduction": None},
        [INF, ROWS[1]]),
    Odd("scce: a sum beyond float64", "scce", {"sample_weight": [1e308, 1e308], "reduction": "sum"},
        INF),
    Odd("scce: a mean beyond float32", "scce", {"sample_weight": [1e300, 1e300], "reduction": "mean"},
        1e300 * ROWS.mean()),
]  # fmt: skip
