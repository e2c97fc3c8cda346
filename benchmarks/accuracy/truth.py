"""The losses and their gradients to 400 digits, one row at a time, straight from the formulas.

Nothing here is rearranged for accuracy: log(1 + 1e-300) still has all its digits. Beside
each number stands its `scale`, the size that an error counts against: what `accuracy.formulas`
says of it holds here too.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from mpmath import mp, mpf
from numpy.typing import NDArray

from benchmarks.accuracy.cases import SMOOTHING, WEIGHT
from fastloss.selfcheck import reference

Numbers = list[mpf]
DIGITS = 400


class Row(NamedTuple):
    """A loss and its gradient, and the sizes that their errors count against."""

    value: mpf
    gradient: Numbers
    value_scale: mpf
    gradient_scale: Numbers


def softmax_crossentropy(t: Numbers, x: Numbers) -> Row:
    """-sum_c t_c log softmax_c."""
    e = [mp.exp(item) for item in x]
    total, weight = mp.fsum(e), mp.fsum(t)
    terms = [-k * mp.log(c / total) for k, c in zip(t, e, strict=True) if k != 0]
    p = [c / total for c in e]
    gradient = [weight * q - k for q, k in zip(p, t, strict=True)]
    hard = _one_hot(t)
    scale = [abs(g) if hard else max(weight * q, k) for g, q, k in zip(gradient, p, t, strict=True)]
    return _row(terms, gradient, scale)


def probability_crossentropy(t: Numbers, x: Numbers, low: mpf, high: mpf) -> Row:
    """-sum_c t_c log clip(x_c / sum(x))."""
    s = mp.fsum(x)
    q = [c / s for c in x]
    p = [min(max(c, low), high) for c in q]
    passed = [k if low <= c <= high else mpf(0) for k, c in zip(t, q, strict=True)]
    terms = [-k * mp.log(c) for k, c in zip(t, p, strict=True)]
    total = mp.fsum(passed)
    gradient = [(total - k / c) / s for k, c in zip(passed, p, strict=True)]
    hard = _one_hot(t)
    scale = [
        abs(g) if hard else max(total, k / c) / s
        for g, k, c in zip(gradient, passed, p, strict=True)
    ]
    return _row(terms, gradient, scale)


def _answers(t: Numbers, smoothing: float, weight: float) -> list[tuple[mpf, mpf]]:
    """Return w t' and 1 - t' of the smoothed targets t'."""
    smooth = [k * (1 - mpf(smoothing)) + mpf(smoothing) / 2 for k in t]
    return [(mpf(weight) * k, 1 - k) for k in smooth]


def logistic_crossentropy(
    t: Numbers, x: Numbers, *, smoothing: float = 0.0, weight: float = 1.0
) -> Row:
    """mean(-w t log sigma(x) - (1 - t) log sigma(-x))."""
    answers = _answers(t, smoothing, weight)
    rows = [(*k, c, mp.exp(c)) for k, c in zip(answers, x, strict=True)]
    terms = [v * mp.log(1 + 1 / e) + u * mp.log(1 + e) for v, u, _, e in rows]
    gradient = [u * e / (1 + e) - v / (1 + e) for v, u, _, e in rows]
    if (smoothing, weight) != (0.0, 1.0):
        return _mean(terms, gradient, [(u * e + v) / (1 + e) for v, u, _, e in rows])
    pairs = [(u, 1 / (1 + e)) if c >= 0 else (v, e / (1 + e)) for v, u, c, e in rows]
    soft = [max(pair) for pair in pairs]
    scale = [abs(g) if k in (0, 1) else s for g, s, k in zip(gradient, soft, t, strict=True)]
    return _mean(terms, gradient, scale)


def bernoulli_crossentropy(
    t: Numbers,
    x: Numbers,
    low: mpf,
    high: mpf,
    *,
    smoothing: float = 0.0,
    weight: float = 1.0,
) -> Row:
    """mean(-w t log p - (1 - t) log(1 - p)), p = clip(x)."""
    answers = _answers(t, smoothing, weight)
    rows = [(*k, min(max(c, low), high), low <= c <= high) for k, c in zip(answers, x, strict=True)]
    terms = [-v * mp.log(p) - u * mp.log(1 - p) for v, u, p, _ in rows]
    gradient = [m * (u / (1 - p) - v / p) for v, u, p, m in rows]
    scale = [abs(g) for g in gradient]
    if (smoothing, weight) != (0.0, 1.0):
        scale = [m * (u / (1 - p) + v / p) for v, u, p, m in rows]
    return _mean(terms, gradient, scale)


def poisson(t: Numbers, x: Numbers, eps: mpf) -> Row:
    """mean(x - t log(x + eps))."""
    pairs = list(zip(t, x, strict=True))
    terms = [part for k, c in pairs for part in (c, -k * mp.log(c + eps))]
    gradient = [1 - k / (c + eps) for k, c in pairs]
    return _divide(_row(terms, gradient, [abs(g) for g in gradient]), len(x))


def kullback_leibler(t: Numbers, x: Numbers, low: mpf) -> Row:
    """sum(u log(u / p)), both clipped to [low, 1]."""
    u = [min(max(k, low), mpf(1)) for k in t]
    p = [min(max(c, low), mpf(1)) for c in x]
    terms = [k * mp.log(k / c) for k, c in zip(u, p, strict=True)]
    gradient = [-k / c * (low <= r <= 1) for k, c, r in zip(u, p, x, strict=True)]
    return _row(terms, gradient, [abs(g) for g in gradient])


def _one_hot(t: Numbers) -> bool:
    return [k for k in t if k != 0] == [1]


def _row(terms: Numbers, gradient: Numbers, gradient_scale: Numbers) -> Row:
    return Row(mp.fsum(terms), gradient, mp.fsum(abs(term) for term in terms), gradient_scale)


def _mean(terms: Numbers, gradient: Numbers, gradient_scale: Numbers) -> Row:
    return _divide(_row(terms, gradient, gradient_scale), len(terms))


def _divide(row: Row, count: int) -> Row:
    return Row(
        row.value / count,
        [g / count for g in row.gradient],
        row.value_scale / count,
        [g / count for g in row.gradient_scale],
    )


CHANGES: dict[str, Any] = {"smoothing": SMOOTHING, "weight": WEIGHT}
#: For each name in the table of cases: the formula, and how many clip bounds it takes.
FORMULAS: dict[str, tuple[Callable[..., Row], int]] = {
    "sparse_logits": (softmax_crossentropy, 0),
    "dense_logits": (softmax_crossentropy, 0),
    "binary_logits": (logistic_crossentropy, 0),
    "sparse_probabilities": (probability_crossentropy, 2),
    "dense_probabilities": (probability_crossentropy, 2),
    "binary_probabilities": (bernoulli_crossentropy, 2),
    "binary_logits_changed": (partial(logistic_crossentropy, **CHANGES), 0),
    "binary_probabilities_changed": (partial(bernoulli_crossentropy, **CHANGES), 2),
    "poisson": (poisson, 1),
    "kl_divergence": (kullback_leibler, 1),
}


def of_case(case: Any, targets: NDArray[Any], scores: NDArray[Any]) -> list[Row]:
    """Return the truth for data of a case of the shared table, with the bounds of their dtype."""
    formula, bounds = FORMULAS[case.name]
    return rows(formula, targets, scores, *reference.clip_bounds(scores.dtype)[:bounds])


def rows(
    formula: Callable[..., Row], targets: NDArray[Any], scores: NDArray[Any], *bounds: float
) -> list[Row]:
    """Return `formula` of every row of a batch; labels become one-hot targets."""
    if targets.ndim == 1:
        targets = np.eye(scores.shape[1])[targets]
    with mp.workdps(DIGITS):
        limits = [mpf(bound) for bound in bounds]
        return [
            formula(list(map(mpf, t.tolist())), list(map(mpf, x.tolist())), *limits)
            for t, x in zip(targets.astype(np.float64), scores.astype(np.float64), strict=True)
        ]


def errors(rows: NDArray[Any], gradient: NDArray[Any], right: list[Row]) -> tuple[float, float]:
    """Return the worst errors of the values and of the gradients, see `worst_ulps`."""
    return (
        worst_ulps(rows, [row.value for row in right], [row.value_scale for row in right]),
        worst_ulps(
            gradient,
            [item for row in right for item in row.gradient],
            [item for row in right for item in row.gradient_scale],
        ),
    )


def worst_ulps(computed: NDArray[Any], true: list[mpf], scale: list[mpf]) -> float:
    """Return the worst error in units of the last place of `scale` in the dtype of `computed`.

    An error below the smallest normal number counts as none: the last places end there.
    """
    info = np.finfo(computed.dtype)
    worst = 0.0
    with mp.workdps(DIGITS):
        for item, right, size in zip(computed.ravel().tolist(), true, scale, strict=True):
            if not np.isfinite(item):
                return float("inf")
            unit = float(np.spacing(computed.dtype.type(max(abs(size), mpf(float(info.tiny))))))
            error = abs(mpf(item) - right)
            if error > float(info.tiny):
                worst = max(worst, float(error / unit))
    return worst
