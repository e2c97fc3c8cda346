"""Numbers that losses meet, ordinary and not: rows of predictions and of targets, from a seed."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Random = np.random.Generator
Draw = Callable[[Random, int, int], Array]
POOL = 65_537  # numbers that large batches repeat; a prime, so that no two rows are alike


def _sprinkled(values: tuple[float, ...], share: float, draw: Draw) -> Draw:
    """Return `draw` with a share of its numbers replaced by some of `values`."""

    def drawn(rng: Random, rows: int, classes: int) -> Array:
        x = draw(rng, rows, classes)
        return np.where(rng.random(x.shape) < share, rng.choice(values, x.shape), x)

    return drawn


def _mixed(kinds: dict[str, Draw]) -> Draw:
    """Return rows of all kinds, side by side."""
    draws = list(kinds.values())

    def drawn(rng: Random, rows: int, classes: int) -> Array:
        x, kind = np.empty((rows, classes)), rng.integers(0, len(draws), rows)
        for k, draw in enumerate(draws):
            x[kind == k] = draw(rng, int((kind == k).sum()), classes)
        return x

    return drawn


def _constant(value: float) -> Draw:
    return lambda rng, rows, classes: np.full((rows, classes), value)


def _normal(rng: Random, rows: int, classes: int) -> Array:
    x: Array = 3 * rng.standard_normal((rows, classes))
    return x


def _shares(rng: Random, rows: int, classes: int) -> Array:
    e = rng.exponential(size=(rows, classes))
    shares: Array = e / np.maximum(e.sum(axis=1, keepdims=True), 1e-300)
    return shares


def _uniform(rng: Random, rows: int, classes: int) -> Array:
    return rng.random((rows, classes))


def _one_hot(rng: Random, rows: int, classes: int) -> Array:
    x = np.zeros((rows, classes))
    if classes:
        x[np.arange(rows), rng.integers(0, classes, rows)] = 1.0
    return x


def _confident(rng: Random, rows: int, classes: int) -> Array:
    x: Array = _normal(rng, rows, classes) + 40 * _one_hot(rng, rows, classes)
    return x


def _likely(rng: Random, rows: int, classes: int) -> Array:
    near = 10.0 ** rng.uniform(-12, -2, (rows, classes))
    return np.abs(_one_hot(rng, rows, classes) - near)


def _wide(low: float, high: float) -> Draw:
    """Return numbers of either sign whose magnitudes are spread over powers of ten."""
    return lambda rng, rows, classes: (
        rng.choice([-1.0, 1.0], (rows, classes)) * 10.0 ** rng.uniform(low, high, (rows, classes))
    )


def _positive(low: float, high: float) -> Draw:
    return lambda rng, rows, classes: 10.0 ** rng.uniform(low, high, (rows, classes))


def _bounds(rng: Random, rows: int, classes: int) -> Array:
    ends = np.array([1e-7, 1 - 1e-7, 1e-3, 1 - 1e-3])
    return rng.choice(ends, (rows, classes)) * (1 + rng.choice([-1, 0, 1], (rows, classes)) * 6e-8)


_INFINITE = (np.inf, -np.inf)

LOGITS: dict[str, Draw] = {
    "normal": _normal,
    "confident": _confident,
    "large": _wide(1, 3),
    "huge": _wide(3, 6),
    "extreme": _sprinkled((1e30, -1e30, 3e38, -3e38), 0.3, _normal),
    "subnormal": _wide(-45, -36),
    "tiny": _wide(-20, -3),
    "zeros": _sprinkled((0.0, -0.0), 1.0, _normal),
    "equal": _constant(-3.25),
    "infinite": _sprinkled(_INFINITE, 0.02, _normal),
    "excluded": _sprinkled((-np.inf,), 0.5, _normal),
    "all_excluded": _constant(-np.inf),
    "nan": _sprinkled((np.nan,), 0.01, _normal),
}
PROBABILITIES: dict[str, Draw] = {
    "shares": _shares,
    "uniform": _uniform,
    "likely": _likely,
    "one_hot": _one_hot,
    "ones": _sprinkled((0.0, 1.0), 0.5, _uniform),
    "bounds": _bounds,
    "zeros": _sprinkled((0.0, -0.0), 1.0, _uniform),
    "sum_zero": lambda rng, rows, classes: np.resize((0.5, -0.5), (rows, classes)),
    "negative": _sprinkled((-0.25, -1e-9, 2.0), 0.2, _uniform),
    "subnormal": _positive(-45, -36),
    "tiny": _positive(-20, -3),
    "large": _positive(0, 30),
    "infinite": _sprinkled((np.inf, -np.inf), 0.01, _uniform),
    "nan": _sprinkled((np.nan,), 0.01, _uniform),
}
LOGITS["mixed"] = _mixed(dict(LOGITS))
PROBABILITIES["mixed"] = _mixed(dict(PROBABILITIES))

_ODD = (-0.5, 2.0, 1e-30, 1e30, np.inf, np.nan)
TARGETS: dict[str, dict[str, Draw]] = {
    "classes": {
        "shares": _shares,
        "one_hot": _one_hot,
        "zeros": _constant(0.0),
        "odd": _sprinkled(_ODD, 0.02, _shares),
    },
    "answers": {
        "answers": _sprinkled((0.0, 1.0), 1.0, _uniform),
        "soft": _uniform,
        "odd": _sprinkled(_ODD, 0.02, _uniform),
    },
    "counts": {
        "counts": lambda rng, rows, classes: rng.poisson(2.0, (rows, classes)).astype(float),
        "positive": _positive(-3, 3),
        "odd": _sprinkled(_ODD, 0.02, _positive(-3, 3)),
    },
}
_ORDINARY = 0.8  # share of the cases whose targets are not odd


def target_kind(rng: Random, family: str) -> str:
    """Return a kind of targets of this family."""
    *usual, odd = TARGETS[family]
    return str(rng.choice(usual)) if rng.random() < _ORDINARY else odd


def draw(rng: Random, kind: Draw, rows: int, classes: int) -> Array:
    """Return rows of this kind; of large batches a pool is drawn, and repeated."""
    with np.errstate(all="ignore"):
        if rows * classes <= 2 * POOL or classes == 0:
            return kind(rng, rows, classes)
        width = min(classes, POOL)
        return np.resize(kind(rng, POOL // width, width).ravel()[: POOL - 1], (rows, classes))


def rounded(x: Array, dtype: str) -> Array:
    """Return x in `dtype`; float16 and bfloat16 as their bits, int16 and uint16."""
    with np.errstate(all="ignore"):
        if dtype == "float16":
            return x.astype(np.float16).view(np.int16)
        if dtype == "bfloat16":
            return (x.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
        return x.astype(dtype)
