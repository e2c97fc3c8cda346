"""Time fastloss and its peers side by side in one run: `python -m benchmarks.compare --help`.

Every loss is computed by every library that has it, on the same data and as many processors, in
shuffled rounds, beside the time that moving the same bytes takes. Each contestant's mean loss and
gradient must equal ours before it is timed. What is not installed is left out.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numba

from . import heap, limits, machine, ours, pages, peers, report, rounds
from .contest import FORMS, LIMIT, OURS, Array, Contestant, Ways, check_same
from .equal import processors
from .works import IN_CACHE, QUICK, Work, works

BUSY = 0.5  # load average above which others take part of the processors
ROUNDS, QUICK_ROUNDS = 15, 3
BUDGET = 4.0  # seconds that rounds of one cell may take

Json = dict[str, Any]
Entered = dict[str, dict[str, Ways]]  # contestant -> form -> calls


class Run(NamedTuple):
    """What holds for all works."""

    how: rounds.Settings
    order: random.Random
    """Draws the order of each round."""
    keeps: bool
    """Whether malloc can be told to keep what contestants free that take no `out=`."""


def enter(
    contestants: Sequence[Contestant], work: Work, y_true: Array, y_pred: Array, run: Run
) -> tuple[Entered, list[Json]]:
    """Prepare the contestants and hold their results to ours; return also who is left out."""
    value, gradient = work.case.loss(**work.case.options).value_and_grad(y_true, y_pred)
    entered: Entered = {}
    left_out = []
    for contestant in contestants:
        try:
            forms = contestant.prepare(work.case, y_true, y_pred, run.how.threads)
            for call in {call for ways in forms.values() for call in ways if call}:
                check_same(call, float(value), gradient)
        except Exception as error:  # wrong numbers, or a compiler that is missing: others go on
            why = f"{type(error).__name__}: {(str(error).strip() or '-').splitlines()[0]}"
            left_out.append({"contestant": contestant.name, "work": str(work), "why": why})
        else:
            if not run.keeps and not contestant.has_out:
                forms = {form: ways._replace(reused=None) for form, ways in forms.items()}
            entered[contestant.name] = forms
    return entered, left_out


def cells(contestants: Sequence[Contestant], work: Work, run: Run) -> tuple[list[Json], list[Json]]:
    """Time one work; return a cell for each form, and who is left out."""
    y_true, y_pred = work.case.data(work.rows, work.classes, work.dtype)
    entered, left_out = enter(contestants, work, y_true, y_pred, run)
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
            "taken": {},
        }
        for way in work.ways:
            offers = {name: forms[form] for name, forms in entered.items() if form in forms}
            calls = {name: call for name, ways in offers.items() if (call := getattr(ways, way))}
            twin = LIMIT if LIMIT in calls else OURS
            with heap.kept() if way == "reused" else nullcontext():
                measured = rounds.controlled(calls, twin, run.how, run.order)
            cell[way] = {
                name: {key: float(f"{figure:.5g}") for key, figure in timing._asdict().items()}
                for name, timing in measured.timings.items()
            }
            cell["taken"][way] = {
                "rounds": measured.rounds,
                "attempts": measured.attempts,
                "disturbed": measured.disturbed,
            }
        timed.append(cell)
    return timed, left_out


def measure(chosen: Sequence[Work], how: rounds.Settings) -> Json:
    """Run the comparison and return all that is known of it."""
    with processors(how.threads):
        run = Run(how, random.Random(rounds.SEED), keeps=heap.usual())
        contestants = [*ours.CONTESTANTS, *peers.installed()]
        result: Json = {
            "date": str(date.today()),
            "commit": machine.commit(),
            **how._asdict(),
            "fewest_rounds": rounds.FEWEST,
            "rest": rounds.REST,
            "agree": rounds.AGREE,
            "attempts": rounds.ATTEMPTS,
            "seed": rounds.SEED,
            "heap_kept": run.keeps,
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
            timed, left_out = cells(contestants, work, run)
            result["cells"] += timed
            result["left_out"] += left_out
    return result


def arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare",
        description="Time fastloss, its peers and the memory's limit side by side in one run.",
    )
    add = parser.add_argument
    quick = f"batches {QUICK} times smaller, {QUICK_ROUNDS} rounds"
    add("--quick", action="store_true", help=quick)
    add("--rounds", type=int, metavar="N", help=f"how often each is timed; default {ROUNDS}")
    add("--budget", type=float, default=BUDGET, metavar="SECONDS",
        help=f"no other round of a cell begins after so long and {rounds.FEWEST} rounds; "
        "default %(default)s")  # fmt: skip
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
    add("--write", action="store_true", help="keep the result in docs/, fill README.md")
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
        number = chosen.rounds or (QUICK_ROUNDS if chosen.quick else ROUNDS)
        result = measure(every, rounds.Settings(number, chosen.budget, chosen.threads))
    print(report.full(result))
    if chosen.json:
        chosen.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if chosen.write:
        pages.publish(result)
    return 1 if result["left_out"] else 0


if __name__ == "__main__":
    sys.exit(main())
