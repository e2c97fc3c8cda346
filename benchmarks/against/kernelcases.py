"""Calls of kernels whose results two trees must agree on, bit by bit: names, and nothing run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

import numpy as np

from .inputs import LOGITS, PROBABILITIES
from .layouts import BROADCAST, LAYOUTS, Shape


@dataclass(frozen=True)
class Loss:
    """A kernel and what it takes."""

    kernels: tuple[str, ...]
    """Its names, the first one first: some trees have not all of them."""
    targets: str
    """The family of its targets, or "labels"."""
    arguments: tuple[str, ...]
    """What stands between the targets and `scale`."""
    logits: bool = False


LOSSES = {
    "sparse_logits": Loss(("softmax_crossentropy_sparse",), "labels", (), True),
    "sparse_probabilities": Loss(("probability_crossentropy_sparse",), "labels", ("eps",)),
    "dense_logits": Loss(("softmax_crossentropy_dense",), "classes", ("weight", "smoothing"), True),
    "dense_probabilities": Loss(
        ("probability_crossentropy_dense",), "classes", ("weight", "smoothing", "eps")
    ),
    "binary_logits": Loss(
        ("logistic_crossentropy", "binary_crossentropy_logits"),
        "answers",
        ("weight", "smoothing"),
        True,
    ),
    "binary_probabilities": Loss(
        ("bernoulli_crossentropy", "binary_crossentropy"),
        "answers",
        ("weight", "smoothing", "eps"),
    ),
    "poisson": Loss(("poisson",), "counts", ("eps",)),
    "kl_divergence": Loss(("kullback_leibler",), "classes", ("eps",)),
}
DTYPES = ("float32", "float64", "float16", "bfloat16")
HALVES = ("float16", "bfloat16")

CLASSES = (0, 1, 2, 3, 10, 15, 16, 17, 33, 100, 255, 257, 1000, 4096, 4097, 10_000, 70_000)
ROWS = (0, 1, 2, 7, 63, 64, 65, 500, 513, 3000)
INNER = (1, 5, 64, 100, 600, 1500)
SMALL = 24_000  # elements of most cases; some have ten times as many
LARGE = 2**24  # bytes of a gradient from which it is written past the caches

#: Arguments beside the arrays: what each name means stands in `kernelcalls`.
OPTIONS = {
    "any": ("plain", "keep", "keep_none", "keep_scale", "scale_rows", "scale=0.25", "scale=-1e30",
            "scale=1e-30", "scale=0"),
    "labels": ("bad_label", "bad_masked"),
    "eps": ("eps=0.001", "eps=1e-12"),
    "smoothing": ("smoothing=0.1", "smoothing=1"),
    "weight": ("weight", "weight_smoothing"),
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One call of a kernel."""

    loss: str
    dtype: str
    form: str
    """value; gradient; in_place (grad is x); other (float16 or bfloat16 with a float32 grad)."""
    shape: Shape
    draw: str = "normal"
    layouts: tuple[str, str, str] = ("C", "C", "C")
    """Of predictions, targets and gradient."""
    options: str = "plain"
    threads: int = 1

    @property
    def name(self) -> str:
        """Return what --only looks in, and what seeds the numbers."""
        parts = self.loss, self.dtype, self.form, "x".join(map(str, self.shape)), self.draw
        lies = ",".join(self.layouts)
        return f"{'/'.join(parts)}/{lies}/{self.options}/{self.threads} threads"


class _Deck:
    """Levels of a factor in random order, each as often as the others."""

    def __init__(self, rng: np.random.Generator, levels: Sequence[Any]) -> None:
        self._rng, self._levels, self._left = rng, list(levels), list[Any]()

    def take(self) -> Any:
        if not self._left:
            self._left = [self._levels[k] for k in self._rng.permutation(len(self._levels))]
        return self._left.pop()


def kernel_cases() -> list[Case]:
    """Return all cases, the large ones of a loss behind its others."""
    found = [case for name in LOSSES for case in (*_everyday(name), *_large(name))]
    return list(dict.fromkeys(found))


def draws_of(loss: Loss) -> list[str]:
    """Return the kinds of predictions, an ordinary one first."""
    return list(LOGITS if loss.logits else PROBABILITIES)


def _options(loss: Loss, dtype: str) -> list[str]:
    kinds = ("any", *loss.arguments, *(("labels",) if loss.targets == "labels" else ()))
    found = [option for kind in kinds for option in OPTIONS[kind]]
    return [o for o in found if o != "eps=1e-12" or dtype == "float64"]


def _bounded(rows: int, classes: int, most: int = SMALL) -> int:
    """Return as many rows, or so few that the elements are not too many."""
    fitting = [n for n in ROWS if n * classes <= most and n <= rows]
    return max(fitting) if rows and max(fitting) else min(rows, 1)


def _everyday(name: str) -> Iterator[Case]:
    """Yield each level of each factor with every form, and then all factors at random."""
    loss = LOSSES[name]
    for dtype in DTYPES:
        rng = np.random.default_rng(crc32(f"{name} {dtype}".encode()))
        forms = ("value", "gradient", "in_place", *(("other",) if dtype in HALVES else ()))
        draws, options = draws_of(loss), _options(loss, dtype)
        some, rows, inner, outer = (_Deck(rng, v) for v in (CLASSES, ROWS, INNER, (1, 2, 3)))
        draw, option, layout = (_Deck(rng, v) for v in (draws, options, list(LAYOUTS)))
        truth = _Deck(rng, [*LAYOUTS, *BROADCAST, "C", "C", "C", "C"])
        result = _Deck(rng, [*LAYOUTS, *["C"] * 8])

        def rows_shape(most: int = SMALL, some: Any = some, rows: Any = rows) -> Shape:
            classes = some.take()
            return _bounded(rows.take(), classes, most), classes, 1

        def columns_shape(some: Any = some, inner: Any = inner, outer: Any = outer) -> Shape:
            classes, length, groups = some.take(), inner.take(), outer.take()
            while length * classes > 2 * SMALL:
                classes = some.take()
            return max(1, min(groups, SMALL // max(1, length * classes))), classes, length

        for form in forms:
            plain = Case(name, dtype, form, (0, 0, 0), draws[0])
            for classes in CLASSES:
                yield replace(plain, shape=(_bounded(rows.take(), classes), classes, 1))
                yield replace(plain, shape=(1, classes, _bounded(rows.take(), classes)))
            for lies in LAYOUTS:
                for shape in (rows_shape(), columns_shape()):
                    yield replace(plain, shape=shape, layouts=(lies, truth.take(), lies))
            for length in INNER:
                for classes in (2, 3, 17, 33, 257):
                    groups = max(1, min(outer.take(), 4 * SMALL // (length * classes)))
                    yield replace(plain, shape=(groups, classes, length))
            for kind in draws:
                yield replace(plain, shape=rows_shape(), draw=kind)
                yield replace(plain, shape=columns_shape(), draw=kind)
                yield replace(plain, shape=(513, 10, 1), draw=kind)
                yield replace(plain, shape=(1, 10, 513), draw=kind)
            for chosen in options:
                yield replace(plain, shape=rows_shape(), draw="mixed", options=chosen)
                yield replace(plain, shape=columns_shape(), draw="mixed", options=chosen)
                yield replace(plain, shape=(65, 100, 1), options=chosen)
                yield replace(plain, shape=(1, 17, 600), options=chosen)
            for k in range(48):
                shape = (
                    columns_shape() if k % 2 else rows_shape(10 * SMALL if k % 8 == 0 else SMALL)
                )
                three = layout.take(), truth.take(), result.take()
                yield Case(name, dtype, form, shape, draw.take(), three, option.take())
            for shape in ((2, 70_000, 1), (1, 140_000, 1), (2, 140_000, 1), (1, 300_000, 1)):
                yield replace(plain, shape=shape)
            for shape in ((513, 100, 1), (3000, 10, 1), (2, 70_000, 1), (2, 33, 600)):
                yield replace(plain, shape=shape, draw="mixed", threads=2)


def _large(name: str) -> Iterator[Case]:
    """Yield gradients that are written past the caches, on one thread and on two."""
    ordinary = draws_of(LOSSES[name])[0]
    for dtype, form, shape in (
        ("float32", "gradient", (5_000, 1_000, 1)),
        ("float32", "gradient", (40, 128_256, 1)),
        ("float32", "gradient", (1, 3, 2_000_000)),
        ("float32", "gradient", (8, 21, 32_768)),
        ("float32", "gradient", (600_000, 10, 1)),
        ("float32", "in_place", (5_000, 1_000, 1)),
        ("float64", "gradient", (2_200, 1_000, 1)),
        ("float64", "gradient", (1, 3, 800_000)),
        ("float16", "gradient", (8_500, 1_000, 1)),
        ("bfloat16", "gradient", (1, 3, 3_000_000)),
        ("bfloat16", "other", (4_500, 1_000, 1)),
    ):
        for threads in (1, 2):
            yield Case(name, dtype, form, shape, ordinary, threads=threads)
