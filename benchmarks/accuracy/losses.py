"""The error of every loss and gradient over adversarial rows, ours and our peers'.

Each case of the shared table, in float32 and float64, on every kind of row and for 2 to 100,000
classes. All rows are judged in wide arithmetic; the worst of each kind, and some at random, are
judged again by mpmath, and if the two differ nothing is reported.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastloss as fl
from benchmarks.accuracy import screening
from benchmarks.accuracy.cases import CASES
from benchmarks.accuracy.rows import KINDS
from benchmarks.cases import Case

Array = NDArray[Any]
Pair = tuple[Array, Array]
#: Returns row losses and gradient, or None for a case the library does not have.
Compute = Callable[[Case, Array, Array], Pair | None]

GOAL = 4.0  # ulp
DTYPES = ("float32", "float64")
CLASSES = (2, 3, 5, 10, 17, 33, 100, 257, 1000, 5003, 32_000, 100_000)
DRAWN, MOST_DRAWN = 6, 5000  # so many further numbers of classes, which the seed decides
#: Rows of one kind and number of classes: at most, and so that they have about so many elements.
MOST_ROWS, ELEMENTS = 20_000, 300_000
#: mpmath judges the worst rows, and the first row of each number of classes up to this one.
FEW_CLASSES = 40


@dataclass(frozen=True)
class Number:
    """A loss (place -1) or an element of a gradient that came out, and its error."""

    ulps: float
    case: str
    kind: str
    row: int
    place: int
    target: Any
    x: Array
    got: float

    def __str__(self) -> str:
        what = "loss" if self.place < 0 else f"gradient[{self.place}]"
        line = f"{self.ulps:.4g} ulp: {self.kind}, {self.x.size} classes, row {self.row}, {what}"
        if self.x.size > 5:
            return f"{line} = {self.got!r}"
        shown = ", ".join(float(item).hex() for item in self.x)
        return f"{line} = {self.got!r}, targets {np.asarray(self.target).tolist()}, x [{shown}]"

    def judge_again(self) -> None:
        """Compute the error with mpmath; raise if it is another one."""
        if self.ulps == screening.LEFT_OUT:
            return
        errors = screening.exact(self.case, self.target, self.x, self.place, self.got)
        same = (u == self.ulps or abs(u - self.ulps) <= 1e-3 * max(1.0, u) for u in errors)
        if not any(same):
            raise RuntimeError(f"mpmath says {errors[0]:.4g} ulp, the wide formulas say {self}")


@dataclass(frozen=True)
class Result:
    """The worst that a library did in one case, dtype and kind of row."""

    library: str
    case: str
    dtype: str
    kind: str
    rows: int
    loss: Number
    gradient: Number

    def over(self) -> list[Number]:
        """Return what is over the goal."""
        return [number for number in (self.loss, self.gradient) if number.ulps > GOAL]


def ours(case: Case, targets: Array, x: Array) -> Pair:
    """Return our row losses and gradient."""
    rows, gradient = fl.value_and_grad(case.function)(targets, x, **case.options)
    return np.asarray(rows), gradient


def class_counts(seed: int) -> list[int]:
    """Return the numbers of classes of a run."""
    drawn = np.random.default_rng(seed).uniform(np.log(2), np.log(MOST_DRAWN), DRAWN)
    return sorted({*CLASSES, *np.exp(drawn).astype(int).tolist()})


def measure(
    seed: int,
    share: float,
    libraries: Mapping[str, Compute],
    name: str = "",
    counts: Sequence[int] = (),
) -> Iterator[Result]:
    """Yield the results of all libraries, case by case and kind by kind.

    Parameters
    ----------
    seed : int
        Seed of the rows.
    share : float
        How much of the full number of rows; 1 is more than a million a case and dtype.
    libraries : mapping
        What to measure, by name. The first is the one that mpmath judges again.
    name : str
        Only the cases whose name begins like that.
    counts : sequence of int
        Numbers of classes; those of `class_counts` unless given.
    """
    for case in CASES:
        if case.name.startswith(name):
            for dtype in DTYPES:
                for kind in KINDS[case.name]:
                    sizes = counts or class_counts(seed)
                    batches = (draw(case, dtype, kind, c, seed, share) for c in sizes)
                    yield from _one_kind(case, dtype, kind, batches, libraries)


def draw(case: Case, dtype: str, kind: str, classes: int, seed: int, share: float) -> Pair:
    """Return the targets and predictions of one kind and number of classes."""
    words = f"{case.name} {dtype} {kind} {classes}".encode()
    rng = np.random.default_rng([seed, zlib.crc32(words)])
    rows = max(3, int(share * min(MOST_ROWS, ELEMENTS / classes)))
    return KINDS[case.name][kind](rng, rows, classes, np.dtype(dtype).type)


class Batch:
    """Rows of one kind and number of classes, what each library made of them, and the errors."""

    def __init__(self, case: Case, kind: str, rows: Pair, libraries: Mapping[str, Compute]):
        self.case, self.kind = case.name, kind
        self.targets, self.x = rows
        results = {name: compute(case, *rows) for name, compute in libraries.items()}
        pairs = {name: pair for name, pair in results.items() if pair is not None}
        self.names = list(pairs)
        self.losses = np.stack([losses for losses, _ in pairs.values()])
        self.gradients = np.stack([gradient for _, gradient in pairs.values()])
        self.errors = screening.screen(case.name, *rows, self.losses, self.gradients)

    def loss(self, p: int, row: int) -> Number:
        """Return the loss of a row by the library number p."""
        return self._number(self.errors.loss[p, row], row, -1, self.losses[p, row])

    def slope(self, p: int, row: int) -> Number:
        """Return the worst element of the gradient of a row by the library number p."""
        place = int(self.errors.worst_class[p, row])
        return self._number(self.errors.gradient[p, row], row, place, self.gradients[p, row, place])

    def worst(self, p: int) -> tuple[Number, Number]:
        """Return the worst loss and the worst element of a gradient by the library number p."""
        row, other = (int(np.argmax(errors[p])) for errors in self.errors[:2])
        return self.loss(p, row), self.slope(p, other)

    def _number(self, ulps: float, row: int, place: int, got: Any) -> Number:
        target, x = self.targets[row], self.x[row]
        return Number(float(ulps), self.case, self.kind, row, place, target, x, float(got))


def _one_kind(
    case: Case, dtype: str, kind: str, batches: Iterator[Pair], libraries: Mapping[str, Compute]
) -> Iterator[Result]:
    worst: dict[str, tuple[Number, Number]] = {}
    twice: list[Number] = []
    count = 0
    for rows in batches:
        batch = Batch(case, kind, rows, libraries)
        count += len(batch.x)
        if batch.x.shape[1] <= FEW_CLASSES:
            twice += [batch.loss(0, 0), batch.slope(0, 0)]
        for p, name in enumerate(batch.names):
            found = batch.worst(p)
            pairs = zip(worst.get(name, found), found, strict=True)
            loss, gradient = (max(pair, key=lambda number: number.ulps) for pair in pairs)
            worst[name] = loss, gradient
    for number in (*twice, *worst[batch.names[0]]):
        number.judge_again()
    for name, (loss, gradient) in worst.items():
        yield Result(name, case.name, dtype, kind, count, loss, gradient)
