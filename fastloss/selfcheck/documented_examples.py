"""Every example of the five documentation pages that define the losses.

Most pages print a few rounded digits; three numbers are truncated instead. One page prints all
digits of float32 results, the last of which depend on the order of its float32 operations.
`Example.agrees` rounds our result as the page does.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastloss import functional, losses

TF_1_15 = "tf.keras r1.15: SparseCategoricalCrossentropy"
KERAS_3 = "keras.io API: probabilistic losses"
TF_BINARY = "tf.keras: BinaryCrossentropy"
TF_2_5 = "tf.keras 2.5: SparseCategoricalCrossentropy"
KERAS_R = "keras3 for R: loss_categorical_crossentropy"

ROUNDED, TRUNCATED, FLOAT32 = "rounded", "truncated", "all float32 digits"
MAX_ULPS = 4  # allowed difference of a number that is printed with all float32 digits


@dataclass(frozen=True)
class Example:
    """One call of a page and the digits that the page prints."""

    page: str
    loss: Callable[..., Any]
    y_true: Any
    y_pred: Any
    printed: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)
    sample_weight: Any = None
    rounding: str = ROUNDED

    @property
    def call_text(self) -> str:
        """The call as source code."""
        options = ", ".join(f"{name}={value!r}" for name, value in self.options.items())
        if not isinstance(self.loss, type):
            return f"{self.loss.__name__}(y_true, y_pred)"
        weight = "" if self.sample_weight is None else f", sample_weight={self.sample_weight}"
        return f"{self.loss.__name__}({options})(y_true, y_pred{weight})"

    def compute(self) -> NDArray[Any]:
        """Return the result of our public functions and classes."""
        if isinstance(self.loss, type):
            loss = self.loss(**self.options)
            return np.asarray(loss(self.y_true, self.y_pred, sample_weight=self.sample_weight))
        return np.asarray(self.loss(self.y_true, self.y_pred, **self.options))

    def agrees(self, computed: NDArray[Any]) -> bool:
        """Return whether `computed` has the printed shape and the printed digits."""
        shape = () if len(self.printed) == 1 else (len(self.printed),)
        return computed.shape == shape and all(
            self._same_digits(float(number), digits)
            for number, digits in zip(computed.ravel(), self.printed, strict=True)
        )

    def _same_digits(self, number: float, digits: str) -> bool:
        if self.rounding == FLOAT32:
            printed = np.float32(digits)
            return bool(abs(number - float(printed)) <= MAX_ULPS * np.spacing(printed))
        places = len(digits.partition(".")[2])
        if self.rounding == TRUNCATED:
            number = math.trunc(number * 10**places) / 10**places
        return f"{number:.{places}f}" == digits


_HALF = ([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]])
_ONE_HOT = ([[0, 1, 0], [0, 0, 1]], [[0.05, 0.95, 0], [0.1, 0.8, 0.1]])
_LABELS = ([1, 2], _ONE_HOT[1])
_FLAT = ([0, 1, 0, 0], [-18.6, 0.51, 2.94, -12.8])
_PAIRS = ([[0, 1], [0, 0]], [[-18.6, 0.51], [2.94, -12.8]])


def examples() -> Iterator[Example]:
    """Yield the examples whose results the pages print, page by page."""
    yield Example(
        TF_1_15,
        losses.SparseCategoricalCrossentropy,
        [0, 1, 2],
        [[0.9, 0.05, 0.05], [0.5, 0.89, 0.6], [0.05, 0.01, 0.94]],
        ("0.3239",),
        rounding=TRUNCATED,
    )

    binary = losses.BinaryCrossentropy
    logits = {"from_logits": True}
    yield Example(KERAS_3, binary, *_FLAT, ("0.865",), logits)
    yield Example(KERAS_3, binary, *_PAIRS, ("0.865",), logits)
    yield Example(KERAS_3, binary, *_PAIRS, ("0.243",), logits, [0.8, 0.2], TRUNCATED)
    summed = {**logits, "reduction": "sum"}
    yield Example(KERAS_3, binary, *_PAIRS, ("1.730",), summed, rounding=TRUNCATED)
    yield Example(KERAS_3, binary, *_PAIRS, ("0.235", "1.496"), {**logits, "reduction": None})
    yield from _reductions(KERAS_3, losses.CategoricalCrossentropy, *_ONE_HOT)
    yield from _reductions(KERAS_3, losses.SparseCategoricalCrossentropy, *_LABELS)
    yield Example(KERAS_3, functional.binary_crossentropy, *_HALF, ("0.916", "0.714"))
    rows = ("0.0513", "2.303")
    yield Example(KERAS_3, functional.categorical_crossentropy, *_ONE_HOT, rows)
    yield Example(KERAS_3, functional.sparse_categorical_crossentropy, *_LABELS, rows)

    yield Example(TF_BINARY, binary, *_HALF, ("0.815",))
    yield Example(TF_BINARY, binary, *_HALF, ("0.458",), sample_weight=[1, 0])
    yield Example(TF_BINARY, binary, *_HALF, ("1.630",), {"reduction": "sum"})
    yield Example(TF_BINARY, binary, *_HALF, ("0.916", "0.714"), {"reduction": None})

    yield from _reductions(TF_2_5, losses.SparseCategoricalCrossentropy, *_LABELS)

    dense = losses.CategoricalCrossentropy
    y_true, y_pred = (np.array(values, np.float64) for values in _ONE_HOT)
    rows = ("0.05129329", "2.30258509")
    yield Example(KERAS_R, functional.categorical_crossentropy, y_true, y_pred, rows)
    for printed, options, weight in (
        (("1.1769392",), {}, None),
        (("0.8135988",), {}, [0.3, 0.7]),
        (("2.3538785",), {"reduction": "sum"}, None),
        (("0.05129331", "2.3025851"), {"reduction": None}, None),
    ):
        yield Example(KERAS_R, dense, *_ONE_HOT, printed, options, weight, FLOAT32)


def _reductions(page: str, loss: type, y_true: Any, y_pred: Any) -> Iterator[Example]:
    """Yield the four calls that three of the sections print with equal results."""
    yield Example(page, loss, y_true, y_pred, ("1.177",))
    yield Example(page, loss, y_true, y_pred, ("0.814",), sample_weight=[0.3, 0.7])
    yield Example(page, loss, y_true, y_pred, ("2.354",), {"reduction": "sum"})
    yield Example(page, loss, y_true, y_pred, ("0.0513", "2.303"), {"reduction": None})


def assertions() -> Iterator[tuple[str, str, bool]]:
    """Yield (page, statement, holds) for statements that one page asserts instead of printing."""
    rng = np.random.default_rng(0)
    y_true = rng.integers(0, 2, size=(2, 3))
    y_pred = rng.random(size=(2, 3))
    rows = functional.poisson(y_true, y_pred)
    yield KERAS_3, "poisson(y_true, y_pred).shape == (2,)", rows.shape == (2,)
    shifted = y_pred + 1e-7
    formula = np.mean(shifted - y_true * np.log(shifted), axis=-1)
    near = bool(np.allclose(rows, formula, atol=1e-5))
    yield KERAS_3, "poisson == mean(y_pred - y_true * log(y_pred)), atol=1e-5", near

    targets = y_true.astype(np.float32)
    rows = functional.kl_divergence(targets, y_pred)
    yield KERAS_3, "kl_divergence(y_true, y_pred).shape == (2,)", rows.shape == (2,)
    u, p = np.clip(targets, 1e-7, 1), np.clip(y_pred, 1e-7, 1)
    near = bool(np.allclose(rows, np.sum(u * np.log(u / p), axis=-1)))
    yield KERAS_3, "kl_divergence == sum(y_true * log(y_true / y_pred)), both clipped", near
