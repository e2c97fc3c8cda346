"""`check`: whether what this machine computes is right.

Runs the printed examples of the documentation pages, then random and edge cases against the plain
float64 forms, all through the public functions.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastloss import functional
from fastloss.selfcheck import documented_examples, reference

Array = NDArray[Any]

#: Largest error that passes, relative to the larger of the true number and the case's floor.
TOLERANCE = {"float32": 1e-6, "float64": 1e-13}
ROWS, CLASSES = 100, 37
#: The sources of the entries that come from no page.
OWN_SOURCES = PLAIN, SAME_BITS = "plain float64 form", "value alone, in place"
LOGITS = {"from_logits": True}


@dataclass(frozen=True)
class Entry:
    """One thing that was checked: where it comes from, what should come out and what came out."""

    source: str
    what: str
    expected: str
    computed: str
    ok: bool


@dataclass(frozen=True)
class Report:
    """Everything that `check` looked at, in order."""

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
    """One batch of inputs for one loss; `floor` is the size below which errors count as absolute.

    A floor of 0 asks for relative accuracy however small the true number is.
    """

    function: Callable[..., Any]
    kind: str
    y_true: Array
    y_pred: Array
    options: dict[str, Any] = field(default_factory=dict)
    floor: float = 1.0

    @property
    def what(self) -> str:
        """Return a short description of the case."""
        return f"{self.function.__name__}, {self.kind}, {self.y_pred.dtype}"

    def plain(self) -> reference.Pair:
        """Return the rows and their gradient by the plain float64 form."""
        function = getattr(reference, self.function.__name__)
        working = self.y_pred.dtype
        pair: reference.Pair = function(self.y_true, self.y_pred, **self.options, working=working)
        return pair


def check(verbose: bool = False) -> Report:
    """Check this installation on this machine, and say what was compared.

    Runs every printed example of the five documentation pages of these losses, then random and
    edge cases (saturated and confident logits, -inf, clip bounds, weights; float32 and float64)
    against a plain float64 form of each loss and gradient. The first run compiles the kernels.

    Parameters
    ----------
    verbose : bool
        Print the report, one line an entry.

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
    report = Report((*_page_entries(), *_case_entries()))
    if verbose:
        print(report)
    return report


def _page_entries() -> Iterator[Entry]:
    for example in documented_examples.examples():
        computed = example.compute()
        expected = f"{' '.join(example.printed)} ({example.cut})"
        shown = " ".join(f"{number:.8g}" for number in computed.ravel())
        yield Entry(example.page, example.what, expected, shown, example.agrees(computed))
    for page, statement, holds in documented_examples.assertions():
        yield Entry(page, statement, "True", str(holds), holds)


def _case_entries() -> Iterator[Entry]:
    for dtype, tolerance in TOLERANCE.items():
        for case in cases(np.dtype(dtype)):
            error = _error(case)
            expected, computed = f"error <= {tolerance:.0e}", f"{error:.1e}"
            yield Entry(PLAIN, case.what, expected, computed, error <= tolerance)
            same = _same_bits(case)
            expected, computed = "same bits", "same bits" if same else "other bits"
            yield Entry(SAME_BITS, case.what, expected, computed, same)


def _error(case: Case) -> float:
    """Return the worst error of rows and gradient, unreduced and as a weighted mean."""
    fast = functional.value_and_grad(case.function)
    true_rows, true_gradient = case.plain()
    rows, gradient = fast(case.y_true, case.y_pred, **case.options)
    weight = np.linspace(0.5, 2.0, len(true_rows))
    mean, mean_gradient = fast(
        case.y_true, case.y_pred, **case.options, sample_weight=weight, reduction="mean"
    )
    share = weight / len(weight)
    return max(
        distance(rows, true_rows, case.floor),
        distance(gradient, true_gradient, case.floor),
        distance(mean, np.sum(true_rows * share), case.floor),
        distance(mean_gradient, true_gradient * share[:, np.newaxis], case.floor / len(weight)),
    )


def distance(computed: ArrayLike, true: ArrayLike, floor: float) -> float:
    """Return the worst error, relative to the larger of the true number and `floor`."""
    computed, true = np.asarray(computed, np.float64), np.asarray(true, np.float64)
    with np.errstate(all="ignore"):
        relative = np.abs(computed - true) / np.maximum(np.abs(true), floor)
    same = (computed == true) | (np.isnan(computed) & np.isnan(true))
    worst = np.max(np.where(same, 0.0, relative), initial=0.0)
    return float("inf") if np.isnan(worst) else float(worst)


def _same_bits(case: Case) -> bool:
    """Return whether value alone and gradient in place give the bits of the ordinary call."""
    fast = functional.value_and_grad(case.function)
    rows, gradient = fast(case.y_true, case.y_pred, **case.options)
    alone = case.function(case.y_true, case.y_pred, **case.options)
    scores = case.y_pred.copy()
    rows_in_place, _ = fast(case.y_true, scores, **case.options, out=scores)
    pairs = ((alone, rows), (rows_in_place, rows), (scores, gradient))
    return all(a.tobytes() == b.tobytes() for a, b in pairs)


def cases(dtype: np.dtype[Any]) -> Iterator[Case]:
    """Yield random and edge cases of every loss, the same ones each time."""
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
    sharp = np.roll(one_hot, ROWS // 2, axis=0)
    for kind, x in {"probabilities": _softmax(normal, dtype), "probabilities 0, 1": sharp}.items():
        yield Case(sparse, kind, labels, x)
        yield Case(dense, kind, one_hot, x)


def _elementwise_cases(dtype: np.dtype[Any]) -> Iterator[Case]:
    rng = np.random.default_rng(6)
    normal = rng.normal(size=(ROWS, CLASSES))
    answers = rng.integers(0, 2, normal.shape).astype(dtype)
    sign = 2 * answers - 1
    soft = _softmax(normal, dtype)
    low, high = reference.clip_bounds(dtype)
    edges = rng.choice([-0.2, 0.0, low, 1e-3, 0.5, high, 1.0, 1.5], normal.shape).astype(dtype)

    binary = functional.binary_crossentropy
    x = (4 * normal).astype(dtype)
    yield Case(binary, "random logits", answers, x, LOGITS)
    yield Case(binary, "smoothed", answers, x, {**LOGITS, "label_smoothing": 0.1})
    x = (sign * (40 + 5 * np.abs(normal))).astype(dtype)
    yield Case(binary, "confident logits", answers, x, LOGITS, floor=0.0)
    x = (1e4 * sign * rng.choice([-1, 1], normal.shape)).astype(dtype)
    yield Case(binary, "saturated logits", answers, x, LOGITS)
    yield Case(binary, "probabilities", answers, soft)
    yield Case(binary, "clip bounds", answers, edges)

    counts = rng.poisson(3.0, normal.shape).astype(dtype)
    yield Case(functional.poisson, "rates", counts, np.exp(normal).astype(dtype))
    yield Case(functional.poisson, "rates 0", counts, np.maximum(edges, 0))
    yield Case(functional.kl_divergence, "probabilities", np.roll(soft, 1, 0), soft)
    yield Case(functional.kl_divergence, "clip bounds", answers, edges)


def _softmax(logits: Array, dtype: np.dtype[Any]) -> Array:
    e = np.exp(logits)
    p: Array = (e / e.sum(axis=1, keepdims=True)).astype(dtype)
    return p
