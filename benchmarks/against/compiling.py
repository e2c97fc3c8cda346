"""What the first call of each kernel costs: processor seconds of a process with an empty cache."""

import json
import math
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from .kernelcases import LOSSES
from .trees import Tree, finish


class First(NamedTuple):
    """A first call."""

    loss: str
    form: str
    rows: int
    classes: int
    threads: int

    @property
    def name(self) -> str:
        """Return what --only looks in."""
        threads = f"{self.threads} thread{'s' * (self.threads > 1)}"
        return f"{self.loss}/float32/{self.form}/{self.rows}x{self.classes}/{threads}"


def firsts(only: list[str]) -> list[First]:
    """Return the first calls that are measured: small ones, and such as wake threads."""
    found = [
        First(loss, form, *size)
        for size in ((32, 10, 1), (64, 1000, 2))
        for loss in LOSSES
        for form in ("value", "gradient")
    ]
    found[2:2] = [First("sparse_logits", form, 32, 1000, 1) for form in ("value", "gradient")]
    return [first for first in found if all(part in first.name for part in only)]


def compare(trees: tuple[Tree, Tree], only: list[str], rounds: int) -> None:
    """Print the least seconds of both trees: other load only adds to them."""
    print(
        f"{'processor seconds of the first call':<56}{'old':>8}{'new':>8}{'ratio':>8}", flush=True
    )
    sums = [0.0, 0.0]
    ratios = []
    for first in firsts(only):
        times: dict[str, list[float]] = {tree.name: [] for tree in trees}
        for number in range(rounds):
            for tree in trees if number % 2 == 0 else trees[::-1]:
                times[tree.name].append(_measured(tree, first))
        both = [min(found) for found in times.values()]
        sums = [a + b for a, b in zip(sums, both, strict=True)]
        ratios.append(both[1] / both[0])
        print(_line(first.name, both), flush=True)
    if ratios:
        print(_line("sum", sums))
        print(f"{'geometric mean':<72}{math.prod(ratios) ** (1 / len(ratios)):>8.3f}")


def _line(name: str, both: list[float]) -> str:
    return f"{name:<56}{both[0]:>8.2f}{both[1]:>8.2f}{both[1] / both[0]:>8.3f}"


def _measured(tree: Tree, first: First) -> float:
    with tempfile.TemporaryDirectory() as empty:
        what: dict[str, Any] = first._asdict()
        worker = tree.start(
            "compile", f"--first={json.dumps(what)}", cache=Path(empty), threads=first.threads
        )
        found, _ = worker.communicate()
        finish(worker)
    return float(json.loads(found)["seconds"])
