"""Time fastloss and its peers side by side in one run: `python -m benchmarks.compare --help`.

Every loss is computed by every library that has it, on the same data and as many processors, in
turn and round after round, beside the time that moving the same bytes takes. Each contestant's
mean loss and gradient must equal ours before it is timed. What is not installed is left out.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numba

from tools.fill_readme import fill

from . import heap, limits, machine, ours, peers, plot, report
from .cases import CASES, Case
from .contest import FORMS, LIMIT, WAYS, Array, Contestant, Ways, check_same, interleaved
from .equal import processors

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"

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
CLASSES = (2, 3, 5, 10, 20, 50, 128, 400, 1_000, 8_192, 32_000, 128_256)
ELEMENTS = 1 << 24  # of a batch in the plot: 64 MiB in float32, more than caches hold
QUICK = 64  # how many times smaller everything is with --quick
BUSY = 0.5  # load average above which others take part of the processors
IN_CACHE = 1 << 16  # elements below which memory is not the limit


class Work(NamedTuple):
    """One loss on one batch."""

    part: str
    """The "table", or the "plot" of speed over the number of classes."""
    case: Case
    rows: int
    classes: int
    dtype: str

    def __str__(self) -> str:
        """Return what --only looks in."""
        return f"{self.part} {self.case.name} {self.rows}x{self.classes} {self.dtype}"


def works(quick: bool) -> Iterator[Work]:
    """Yield everything that is compared."""
    smaller = QUICK if quick else 1
    first = CASES[0]
    for case in CASES:
        for rows, classes in SHAPES if case is first else EVERY_LOSS:
            for dtype in ("float32", "float64"):
                yield Work("table", case, max(rows // smaller, 32), classes, dtype)
    for classes in CLASSES:
        yield Work("plot", first, max(ELEMENTS // smaller // classes, 8), classes, "float32")


Json = dict[str, Any]
Entered = dict[str, dict[str, Ways]]  # contestant -> form -> calls


class Settings(NamedTuple):
    """What holds for the whole run."""

    rounds: int
    threads: int
    keeps: bool
    """Whether malloc can be told to keep what contestants free that take no `out=`."""


def enter(
    contestants: Sequence[Contestant], work: Work, y_true: Array, y_pred: Array, how: Settings
) -> tuple[Entered, list[Json]]:
    """Prepare the contestants and hold their results to ours; return also who is left out."""
    value, gradient = work.case.loss(**work.case.options).value_and_grad(y_true, y_pred)
    entered: Entered = {}
    left_out = []
    for contestant in contestants:
        try:
            forms = contestant.prepare(work.case, y_true, y_pred, how.threads)
            for call in {call for ways in forms.values() for call in ways if call}:
                check_same(call, float(value), gradient)
        except Exception as error:  # wrong numbers, or a compiler that is missing: others go on
            why = f"{type(error).__name__}: {(str(error).strip() or '-').splitlines()[0]}"
            left_out.append({"contestant": contestant.name, "work": str(work), "why": why})
        else:
            if not how.keeps and not contestant.has_out:
                forms = {form: ways._replace(reused=None) for form, ways in forms.items()}
            entered[contestant.name] = forms
    return entered, left_out


def cells(
    contestants: Sequence[Contestant], work: Work, how: Settings
) -> tuple[list[Json], list[Json]]:
    """Time one work; return a cell for each form, and who is left out."""
    y_true, y_pred = work.case.data(work.rows, work.classes, work.dtype)
    entered, left_out = enter(contestants, work, y_true, y_pred, how)
    if y_pred.size >= IN_CACHE:
        entered[LIMIT] = limits.prepare(y_true, y_pred)
    timed = []
    for form in FORMS:
        cell: Json = {
            "part": work.part,
            "case": work.case.name,
            "rows": work.rows,
            "classes": work.classes,
            "dtype": work.dtype,
            "form": form,
            "bytes": limits.moved(form, y_true, y_pred),
        }
        for way in WAYS if work.part == "table" else ("reused",):
            offers = {name: forms[form] for name, forms in entered.items() if form in forms}
            calls = {name: call for name, ways in offers.items() if (call := getattr(ways, way))}
            with heap.kept() if way == "reused" else nullcontext():
                laps = interleaved(calls, how.rounds, how.threads)
            cell[way] = {
                name: {key: float(f"{figure:.5g}") for key, figure in lap._asdict().items()}
                for name, lap in laps.items()
            }
        timed.append(cell)
    return timed, left_out


def measure(chosen: Sequence[Work], rounds: int, threads: int) -> Json:
    """Run the comparison and return all that is known of it."""
    with processors(threads):
        how = Settings(rounds, threads, keeps=heap.usual())
        contestants = [*ours.CONTESTANTS, *peers.installed()]
        result: Json = {
            "date": str(date.today()),
            "rounds": rounds,
            "threads": threads,
            "heap_kept": how.keeps,
            "machine": machine.describe(name for c in contestants for name in c.packages),
            "contestants": [
                {"name": c.name, "value": c.value, "gradient": c.gradient, "threads": c.threads}
                for c in contestants
            ],
            "cells": [],
            "left_out": [],
        }
        if (result["machine"]["load"] or 0) > BUSY:
            print("other programs are running: take no figure from this", file=sys.stderr)
        for number, work in enumerate(chosen, 1):
            print(f"{number}/{len(chosen)} {work}", file=sys.stderr, flush=True)
            entered = contestants if work.dtype == "float32" else ours.CONTESTANTS
            timed, left_out = cells(entered, work, how)
            result["cells"] += timed
            result["left_out"] += left_out
    return result


def write(result: Json) -> None:
    """Fill the blocks of README.md and docs/performance.md, and draw the plot."""
    DOCS.mkdir(exist_ok=True)
    for path, content in (
        (ROOT / "README.md", report.headline(result)),
        (DOCS / "performance.md", report.full(result)),
    ):
        text = path.read_text(encoding="utf-8")
        path.write_text(fill(text, "benchmark", content), encoding="utf-8")
    for suffix in ("png", "svg"):
        plot.draw(result, DOCS / f"performance.{suffix}")


def arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare",
        description="Time fastloss, its peers and the memory's limit side by side in one run.",
    )
    add = parser.add_argument
    add("--quick", action="store_true", help=f"batches {QUICK} times smaller, 3 rounds: a trial")
    add("--rounds", type=int, metavar="N", help="how often each is timed, in turn; default 5")
    add("--threads", type=int, default=numba.get_num_threads(), metavar="N", help="default: all")
    add(
        "--only",
        action="append",
        default=[],
        metavar="TEXT",
        help="only works whose name holds "
        "TEXT, such as sparse_logits, 32768x1000, float64, table or plot; may be repeated",
    )
    add("--json", type=Path, metavar="FILE", help="write everything measured to FILE")
    add("--read", type=Path, metavar="FILE", help="measure nothing: take what --json wrote")
    add("--write", action="store_true", help="fill README.md and docs/ with the result")
    chosen = parser.parse_args()
    if chosen.write and (chosen.quick or chosen.only):
        parser.error("--write publishes whole runs: not with --quick or --only")
    return chosen


def main() -> int:
    """Run the command; return 1 where a contestant had to be left out."""
    chosen = arguments()
    if chosen.read:
        result = json.loads(chosen.read.read_text(encoding="utf-8"))
    else:
        every = [w for w in works(chosen.quick) if all(text in str(w) for text in chosen.only)]
        rounds = chosen.rounds or (3 if chosen.quick else 5)
        result = measure(every, rounds, chosen.threads)
    print(report.full(result))
    if chosen.json:
        chosen.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if chosen.write:
        write(result)
    return 1 if result["left_out"] else 0


if __name__ == "__main__":
    sys.exit(main())
