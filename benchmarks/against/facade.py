"""Calls of `fastloss` itself: classes and functions, any axis, weights, masks, reductions."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any
from zlib import crc32

import numpy as np

import fastloss as fl

from .inputs import LOGITS, PROBABILITIES, TARGETS, Array, Random, draw, target_kind
from .kernelcases import DTYPES, LOSSES, draws_of

Results = dict[str, Array]
NUMBER = 80  # cases of each loss and dtype

FACES: dict[str, tuple[str, str]] = {
    "sparse_logits": ("sparse_categorical_crossentropy", "SparseCategoricalCrossentropy"),
    "sparse_probabilities": ("sparse_categorical_crossentropy", "SparseCategoricalCrossentropy"),
    "dense_logits": ("categorical_crossentropy", "CategoricalCrossentropy"),
    "dense_probabilities": ("categorical_crossentropy", "CategoricalCrossentropy"),
    "binary_logits": ("binary_crossentropy", "BinaryCrossentropy"),
    "binary_probabilities": ("binary_crossentropy", "BinaryCrossentropy"),
    "poisson": ("poisson", "Poisson"),
    "kl_divergence": ("kl_divergence", "KLDivergence"),
}
FORMS = (
    "function", "class", "class_gradient", "function_gradient", "out", "in_place", "upstream",
    "float32", "float64", "lists",
)  # fmt: skip
SHAPES = (
    ((7, 10), -1), ((65, 33), -1), ((0, 5), -1), ((5, 1), -1), ((100,), 0), ((513, 100), -1),
    ((3, 4, 17), 1), ((3, 4, 17), 0), ((3, 4, 17), -1), ((2, 3, 8, 9), 1), ((2, 3, 8, 9), -1),
    ((1000, 65), 0), ((2, 70, 100), 1), ((2, 21, 16, 16), 1),
)  # fmt: skip
AXES_OF_BINARY = (None, (0, -1), (-1, -2), ())
VIEWS: dict[str, Callable[[Array], Array]] = {
    "C": lambda x: x,
    "F": np.asfortranarray,
    "step": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "back": lambda x: np.ascontiguousarray(x[..., ::-1])[..., ::-1],
    "gaps": lambda x: np.concatenate([x, x[..., :1]], axis=-1)[..., :-1],
    "transposed": lambda x: np.ascontiguousarray(x.swapaxes(0, -1)).swapaxes(0, -1),
    "swapped": lambda x: x.astype(x.dtype.newbyteorder()) if x.dtype.kind == "f" else x,
}
REDUCTIONS = (None, "sum", "sum_over_batch_size", "mean", "auto", "mean_with_sample_weight")


@dataclass(frozen=True)
class Case:
    """One call; what the name does not say is drawn from its seed."""

    loss: str
    dtype: str
    number: int
    form: str
    shape: tuple[int, ...]
    axis: Any
    view: str
    draw: str
    reduction: str | None

    @property
    def name(self) -> str:
        """Return what --only looks in, and what seeds the numbers."""
        shape = "x".join(map(str, self.shape))
        return (
            f"{self.loss}/{self.dtype}/facade {self.number}/{self.form}/{shape}/axis {self.axis}"
            f"/{self.draw}/{self.view}/{self.reduction}"
        )


def facade_cases() -> Iterator[Case]:
    """Yield the cases of all losses."""
    for loss, dtype in ((loss, dtype) for loss in LOSSES for dtype in DTYPES):
        if dtype == "bfloat16" and bfloat16() is None:
            continue
        rng = np.random.default_rng(crc32(f"{loss} {dtype} facade".encode()))
        draws = draws_of(LOSSES[loss])
        for number in range(NUMBER):
            axis: Any
            shape, axis = SHAPES[rng.integers(len(SHAPES))]
            if loss in ("poisson", "kl_divergence"):
                axis = -1
            elif loss.startswith("binary") and len(shape) > 1 and rng.random() < 0.3:
                axis = AXES_OF_BINARY[rng.integers(len(AXES_OF_BINARY))]
            yield Case(
                loss,
                dtype,
                number,
                FORMS[number % len(FORMS)],
                shape,
                axis,
                str(rng.choice(list(VIEWS))) if rng.random() < 0.7 else "C",
                str(rng.choice(draws)),
                REDUCTIONS[rng.integers(len(REDUCTIONS))],
            )


def bfloat16() -> Any:
    """Return the dtype, or None where `ml_dtypes` is missing."""
    try:
        import ml_dtypes
    except ImportError:
        return None
    return np.dtype(ml_dtypes.bfloat16)


def call(case: Case) -> Results:
    """Return what the call returns and writes; a reduced value as the working dtype has it.

    Commits differ in the dtype of reduced values.
    """
    results = _call(case)
    value = results["value"]
    if value.ndim == 0 and case.form not in ("float32", "float64"):
        wide = case.dtype == "float64" and case.form != "lists"
        with np.errstate(over="ignore", under="ignore"):
            results["value"] = value.astype(np.float64 if wide else np.float32)
    return results


def _call(case: Case) -> Results:
    rng = np.random.default_rng(crc32(case.name.encode()))
    loss, dtype = LOSSES[case.loss], bfloat16() if case.dtype == "bfloat16" else case.dtype
    kinds = LOGITS if loss.logits else PROBABILITIES
    with np.errstate(all="ignore"):
        y_pred = VIEWS[case.view](_drawn(rng, kinds[case.draw], case.shape).astype(dtype))
    options = {"from_logits": loss.logits} if case.loss.startswith(("s", "d", "b")) else {}
    options |= {} if case.loss in ("poisson", "kl_divergence") else {"axis": case.axis}
    y_true = _targets(rng, case, y_pred, options)
    _add_weights(rng, case, options)
    function, cls = (getattr(fl, name) for name in FACES[case.loss])
    if case.form == "function":
        return {"value": _plain(function(y_true, y_pred, **options))}
    weighing = _weighing(rng, _kept(case))
    reduction = case.reduction
    if case.form == "function_gradient":
        gradient = partial(fl.value_and_grad(function), reduction=reduction, **options)
        return _pair(gradient(y_true, y_pred, **weighing))
    named = {"dtype": case.form} if case.form in ("float32", "float64") else {}
    made = cls(reduction=reduction, **options, **named)
    if case.form == "class":
        return {"value": _plain(made(y_true, y_pred, **weighing))}
    if case.form == "lists" and case.dtype != "bfloat16":
        return _pair(made.value_and_grad(y_true.tolist(), y_pred.tolist(), **weighing))
    if case.form == "in_place":
        y_pred = y_pred if y_pred.dtype.isnative else y_pred.astype(dtype)
        return _pair(made.value_and_grad(y_true, y_pred, **weighing, out=y_pred))
    if case.form == "out":
        working = "float64" if case.dtype == "float64" else "float32"
        kind = y_pred.dtype.newbyteorder("=") if rng.random() < 0.5 else working
        out = VIEWS[case.view if case.view != "swapped" else "C"](np.full(case.shape, 7.0, kind))
        return _pair(made.value_and_grad(y_true, y_pred, **weighing, out=out))
    if case.form == "upstream":
        like = np.shape(made(y_true, y_pred))
        return _pair(
            made.value_and_grad(y_true, y_pred, upstream=rng.normal(size=like), **weighing)
        )
    return _pair(made.value_and_grad(y_true, y_pred, **weighing))


def _drawn(rng: Random, kind: Any, shape: tuple[int, ...]) -> Array:
    return draw(rng, kind, prod(shape[:-1]), shape[-1]).reshape(shape)


def _kept(case: Case) -> tuple[int, ...]:
    """Return the shape of the losses."""
    axes = range(len(case.shape)) if case.axis is None else np.atleast_1d(case.axis).astype(int)
    gone = {int(a) % len(case.shape) for a in axes}
    return tuple(n for a, n in enumerate(case.shape) if a not in gone)


def _targets(rng: Random, case: Case, y_pred: Array, options: dict[str, Any]) -> Array:
    family = LOSSES[case.loss].targets
    if family != "labels":
        kind = TARGETS[family][target_kind(rng, family)]
        y_true = VIEWS[case.view](_drawn(rng, kind, case.shape))
        if case.loss in ("poisson", "kl_divergence") and rng.random() < 0.2 and y_true.size:
            y_true = y_true[..., :1]
        return y_true.astype(rng.choice(["float32", "float64"]))
    classes = case.shape[case.axis]
    high = classes + (rng.random() < 0.1)  # a label beyond the last class is an error
    y_true = rng.integers(0, high, _kept(case)).astype(rng.choice(["int64", "int32", "uint8"]))
    if rng.random() < 0.3:
        options["ignore_class"] = int(rng.choice([0, classes - 1, 255]))
    return y_true


def _add_weights(rng: Random, case: Case, options: dict[str, Any]) -> None:
    if case.loss.startswith(("dense", "binary")) and rng.random() < 0.4:
        options["label_smoothing"] = float(rng.choice([0.1, 1.0, 0.003]))
    if rng.random() < 0.3:
        if case.loss.startswith("binary"):
            options["pos_weight"] = float(rng.exponential())
        elif "axis" in options:
            options["class_weight"] = rng.exponential(size=case.shape[case.axis])


def _weighing(rng: Random, rows: tuple[int, ...]) -> dict[str, Any]:
    """Return a weight and a mask, of the losses' shape or its first axis, or none."""
    found: dict[str, Any] = {}
    for name in ("sample_weight", "mask"):
        if rng.random() < 0.5:
            shape = rows if rng.random() < 0.5 else rows[:1]
            chosen = rng.random(shape) < 0.7
            found[name] = chosen if name == "mask" else chosen * rng.exponential(size=shape)
    return found


def _plain(found: Any) -> Array:
    """Return the array, bfloat16 as float32."""
    array = np.asarray(found)
    return array.astype(np.float32) if array.dtype == bfloat16() else array


def _pair(found: tuple[Any, Any]) -> Results:
    return {"value": _plain(found[0]), "grad": _plain(found[1])}
