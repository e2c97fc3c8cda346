"""What is compared: every loss on batches of each kind, and a plot over the number of classes."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .cases import CASES, Case
from .contest import WAYS

# Everyday rows, vocabularies, segmentation, few classes; and a batch that fits in the cache.
SHAPES = (
    (32_768, 1_000),
    (1_024, 32_000),
    (256, 128_256),
    (600_000, 33),
    (2_000_000, 10),
    (4_000_000, 3),
    (32, 10),
)
EVERY_LOSS = (SHAPES[0], SHAPES[-1])  # the shapes of the losses but the first
DOUBLE = tuple(SHAPES[k] for k in (0, 2, 4, -1))  # of float64, which takes twice as long
CLASSES = (2, 3, 10, 30, 100, 300, 1_000, 8_192, 128_256)
ELEMENTS = 1 << 24  # of a batch in the plot: 64 MiB in float32, more than caches hold
IN_CACHE = 1 << 16  # elements below which memory is not the limit
QUICK = 64  # how many times smaller everything is with --quick


class Work(NamedTuple):
    """One loss on one batch."""

    part: str
    """The "table", or the "plot" of speed over the number of classes."""
    case: Case
    rows: int
    classes: int
    dtype: str
    fresh: bool = False
    """Whether calls that take memory from the system are timed too: one large batch tells it."""

    def __str__(self) -> str:
        """Return what --only looks in."""
        return f"{self.part} {self.case.name} {self.rows}x{self.classes} {self.dtype}"

    @property
    def ways(self) -> Sequence[str]:
        """Return which of the WAYS are timed."""
        return WAYS if self.fresh else ("reused",)


def works(quick: bool) -> Iterator[Work]:
    """Yield everything that is compared."""
    smaller = QUICK if quick else 1
    first = CASES[0]
    for case in CASES:
        for rows, classes in SHAPES if case is first else EVERY_LOSS:
            for dtype in ("float32", "float64"):
                if dtype == "float32" or (rows, classes) in DOUBLE:
                    fresh = dtype == "float32" and (rows, classes) in EVERY_LOSS
                    size = max(rows // smaller, 32)
                    yield Work("table", case, size, classes, dtype, fresh)
    for classes in CLASSES:
        yield Work("plot", first, max(ELEMENTS // smaller // classes, 8), classes, "float32")
