"""`check`: whether the losses are computed correctly on this machine.

It runs the examples of the documentation pages, and random and edge cases against the float64
reference, all through the public functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastloss import functional, transforms
from fastloss.selfcheck import documented_examples, reference

Array = NDArray[Any]

#: Maximum error, relative to the larger of the true number and the case's floor.
TOLERANCE = {"float32": 1e-6, "float64": 1e-13}
ROWS, CLASSES = 100, 37
#: The sources of the entries that are not from a documentation page.
OWN_SOURCES = FLOAT64_REFERENCE, SAME_BITS = "plain float64 form", "value alone, in place"
LOGITS, LOG_INPUT = {"from_logits": True}, {"log_input": True}


@dataclass(frozen=True)
class Entry:
    """One comparison: its source, what was computed, the expected and the computed result."""

    source: str
    what: str
    expected: str
    computed: str
    ok: bool


@dataclass(frozen=True)
class Report:
    """All comparisons of a `check`, in order."""

    entries: tuple[Entry, ...]

    @property
    def ok(self) -> bool:
        """Whether every entry is right."""
        return all(entry.ok for entry in self.entries)

    def __str__(self) -> str:
        lines = [
            f"{'ok  ' if e.ok else 'OFF '} {e.source}: {e.what}: {e.expected}, got {e.computed}"
            for e in self.entries
        ]
        right = sum(entry.ok for entry in self.entries)
        return "\n".join([*lines, f"{right} of {len(self.entries)} right"])


@dataclass(frozen=True)
class Case:
    """One batch of inputs for one loss.

    Errors of true numbers below `floor` are measured relative to `floor`. With floor 0 the relative
    error counts, however small the true number is.
    """

    function: Callable[..., Any]
    kind: str
    y_true: Array
    y_pred: Array
    options: dict[str, Any] = field(default_factory=dict)
    floor: float = 1.0

    @property
    def description(self) -> str:
        """A short description of the case."""
        return f"{self.function.__name__}, {self.kind}, {self.y_pred.dtype}"

    def reference_result(self) -> reference.Pair:
        """Return the row losses and their gradient by the float64 reference."""
        function = getattr(reference, self.function.__name__)
        working = self.y_pred.dtype
        pair: reference.Pair = function(self.y_true, self.y_pred, **self.options, working=working)
        return pair


def check(verbose: bool = False) -> Report:
    """Check this installation on this machine, and report all comparisons.

    Runs every example of the five documentation pages of these losses, then random and edge
    cases (saturated and confident logits, -inf, clip bounds, weights; float32 and float64)
    against a float64 reference of each loss and gradient. The first run compiles the kernels.

    Parameters
    ----------
    verbose : bool
        Print the report, one line per entry.

    Returns
    -------
    Report
        ``report.ok`` is True when everything agrees; ``report.entries`` has one entry with
        ``source``, ``what``, ``expected``, ``computed`` and ``ok`` for each comparison.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.check().ok
    True
    """
    report = Report(tuple(entries()))
    if verbose:
        print(report)
    return report


def entries() -> Iterator[Entry]:
    """Yield the entries of a report, each when it has been computed."""
    yield from _documented_entries()
    yield from _case_entries()


def _documented_entries() -> Iterator[Entry]:
    for example in documented_examples.examples():
        computed = example.compute()
        expected = f"{' '.join(example.printed)} ({example.rounding})"
        shown = " ".join(f"{number:.8g}" for number in computed.ravel())
        yield Entry(example.page, example.call_text, expected, shown, example.agrees(computed))
    for page, statement, holds in documented_examples.assertions():
        yield Entry(page, statement, "True", str(holds), holds)


def _case_entries() -> Iterator[Entry]:
    for dtype, tolerance in TOLERANCE.items():
        for case in check_cases(np.dtype(dtype)):
            error = _worst_error(case)
            expected, computed = f"error <= {tolerance:.0e}", f"{error:.1e}"
            yield Entry(FLOAT64_REFERENCE, case.description, expected, computed, error <= tolerance)
            same = _same_bits(case)
            expected, computed = "same bits", "same bits" if same else "other bits"
            yield Entry(SAME_BITS, case.description, expected, computed, same)


def _worst_error(case: Case) -> float:
    """Return the largest error of losses and gradient, unreduced and as a weighted mean."""
    value_and_grad = transforms.value_and_grad(case.function)
    true_rows, true_gradient = case.reference_result()
    rows, gradient = value_and_grad(case.y_true, case.y_pred, **case.options)
    weight = np.linspace(0.5, 2.0, len(true_rows))
    mean, mean_gradient = value_and_grad(
        case.y_true, case.y_pred, **case.options, sample_weight=weight, reduction="mean"
    )
    row_weight = weight / len(weight)
    return max(
        relative_error(rows, true_rows, case.floor),
        relative_error(gradient, true_gradient, case.floor),
        relative_error(mean, np.sum(true_rows * row_weight), case.floor),
        relative_error(
            mean_gradient, true_gradient * row_weight[:, np.newaxis], case.floor / len(weight)
        ),
    )


def relative_error(computed: ArrayLike, true: ArrayLike, floor: float) -> float:
    """Return the largest error, relative to the larger of the true number and `floor`."""
    computed, true = np.asarray(computed, np.float64), np.asarray(true, np.float64)
    with np.errstate(all="ignore"):
        relative = np.abs(computed - true) / np.maximum(np.abs(true), floor)
    same = (computed == true) | (np.isnan(computed) & np.isnan(true))
    worst = np.max(np.where(same, 0.0, relative), initial=0.0)
    return float("inf") if np.isnan(worst) else float(worst)


def _same_bits(case: Case) -> bool:
    """Return whether a call without gradient and one in place give the bits of an ordinary call."""
    value_and_grad = transforms.value_and_grad(case.function)
    rows, gradient = value_and_grad(case.y_true, case.y_pred, **case.options)
    value_only = case.function(case.y_true, case.y_pred, **case.options)
    in_place = case.y_pred.copy()
    rows_in_place, _ = value_and_grad(case.y_true, in_place, **case.options, out=in_place)
    pairs = ((value_only, rows), (rows_in_place, rows), (in_place, gradient))
    return all(a.tobytes() == b.tobytes() for a, b in pairs)


def check_cases(dtype: np.dtype[Any]) -> Iterator[Case]:
    """Yield random and edge cases of every loss, the same in every run."""
    yield from _categorical_cases(dtype)
    yield from _elementwise_cases(dtype)


def _categorical_cases(dtype: np.dtype[Any]) -> Iterator[Case]:
    rng = np.random.default_rng(5)
    dense, sparse = functional.categorical_crossentropy, functional.sparse_categorical_crossentropy
    labels = rng.integers(0, CLASSES, ROWS)
    one_hot = np.eye(CLASSES, dtype=dtype)[labels]
    normal = rng.normal(size=(ROWS, CLASSES))
    logits = {
        "random logits": 4 * normal,
        "saturated logits": rng.choice([-1e4, 0.0, 1e4], normal.shape),
        "confident logits": normal + 55 * one_hot,
        "hopeless logits": normal - 300 * one_hot,
        "-inf logits": np.where((normal < 0) & (one_hot == 0), -np.inf, normal),
    }
    for kind, values in logits.items():
        x, floor = values.astype(dtype), 0.0 if kind == "confident logits" else 1.0
        yield Case(sparse, kind, labels, x, LOGITS, floor)
        yield Case(dense, kind, one_hot, x, LOGITS, floor)
    x = logits["random logits"].astype(dtype)
    yield Case(sparse, "ignored class", labels, x, {**LOGITS, "ignore_class": 3})
    yield Case(dense, "smoothed", one_hot, x, {**LOGITS, "label_smoothing": 0.1})
    yield Case(sparse, "smoothed", labels, x, {**LOGITS, "label_smoothing": 0.1})
    sharp = np.roll(one_hot, ROWS // 2, axis=0)
    for kind, x in {"probabilities": _softmax(normal, dtype), "probabilities 0, 1": sharp}.items():
        yield Case(sparse, kind, labels, x)
        yield Case(dense, kind, one_hot, x)
        yield Case(sparse, f"{kind}, smoothed", labels, x, {"label_smoothing": 0.1})


def _elementwise_cases(dtype: np.dtype[Any]) -> Iterator[Case]:
    rng = np.random.default_rng(6)
    normal = rng.normal(size=(ROWS, CLASSES))
    targets = rng.integers(0, 2, normal.shape).astype(dtype)
    sign = 2 * targets - 1
    soft = _softmax(normal, dtype)
    low, high = reference.clip_bounds(dtype)
    edges = rng.choice([-0.2, 0.0, low, 1e-3, 0.5, high, 1.0, 1.5], normal.shape).astype(dtype)

    binary = functional.binary_crossentropy
    x = (4 * normal).astype(dtype)
    yield Case(binary, "random logits", targets, x, LOGITS)
    yield Case(binary, "smoothed", targets, x, {**LOGITS, "label_smoothing": 0.1})
    x = (sign * (40 + 5 * np.abs(normal))).astype(dtype)
    yield Case(binary, "confident logits", targets, x, LOGITS, floor=0.0)
    x = (1e4 * sign * rng.choice([-1, 1], normal.shape)).astype(dtype)
    yield Case(binary, "saturated logits", targets, x, LOGITS)
    yield Case(binary, "probabilities", targets, soft)
    yield Case(binary, "clip bounds", targets, edges)

    counts = rng.poisson(3.0, normal.shape).astype(dtype)
    yield Case(functional.poisson, "rates", counts, np.exp(normal).astype(dtype))
    yield Case(functional.poisson, "rates 0", counts, np.maximum(edges, 0))
    yield Case(functional.poisson, "log rates", counts, normal.astype(dtype), LOG_INPUT)
    yield Case(functional.kl_divergence, "probabilities", np.roll(soft, 1, 0), soft)
    yield Case(functional.kl_divergence, "clip bounds", targets, edges)


def _softmax(logits: Array, dtype: np.dtype[Any]) -> Array:
    e = np.exp(logits)
    p: Array = (e / e.sum(axis=1, keepdims=True)).astype(dtype)
    return p
