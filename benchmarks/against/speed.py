"""How long calls take in two trees: two processes that live on, and take turns."""

import json
import math
import statistics
import subprocess
from typing import Any

from .speedcases import Work, processor, works
from .trees import Tree, finish

SLOWER = 1.03  # ratio of times from which a cell is marked
THREADS = (1, 2)
FORMS = ("value", "gradient")
Times = dict[str, list[float]]  # tree -> seconds of each round


class _Timer:
    """A worker that answers."""

    def __init__(self, tree: Tree) -> None:
        self.name = tree.name
        self._process = tree.start("speed", stdin=subprocess.PIPE)

    def ask(self, **question: Any) -> Any:
        """Send a line, wait for a line."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(question), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            finish(self._process)
            raise SystemExit(f"the worker of the {self.name} tree ended")
        return json.loads(line)["found"]

    def end(self) -> None:
        """Have the worker end."""
        self._process.communicate()
        finish(self._process)


def compare(old: Tree, new: Tree, only: list[str], rounds: int) -> None:
    """Print the times of each cell, and the geometric means of their ratios."""
    timers = [_Timer(old), _Timer(new)]
    print(f"{processor()}\n{rounds} rounds; old and new in ms, medians; new / old\n")
    print(f"{'':<86}{'old':>10}{'new':>10}{'medians':>9}{'minima':>9}")
    ratios: dict[str, list[tuple[float, float]]] = {}
    for work in works():
        cells = [
            (form, threads)
            for form in FORMS
            for threads in THREADS
            if all(part in _name(work, form, threads) for part in only)
        ]
        if not cells:
            continue
        for timer in timers:
            timer.ask(prepare=work)
        for form, threads in cells:
            times = _in_turn(timers, rounds, form, threads)
            ratios.setdefault(work.part, []).append(_say(_name(work, form, threads), times))
    for timer in timers:
        timer.end()
    _say_means(ratios)


def _name(work: Work, form: str, threads: int) -> str:
    return f"{work.name}/{form}/{threads} thread{'s' * (threads > 1)}"


def _in_turn(timers: list[_Timer], rounds: int, form: str, threads: int) -> Times:
    times: Times = {timer.name: [] for timer in timers}
    for timer in timers:  # compiles, and counts
        timer.ask(form=form, threads=threads)
    for number in range(rounds):
        for timer in timers if number % 2 == 0 else timers[::-1]:
            times[timer.name].append(timer.ask(form=form, threads=threads))
    return times


def _say(name: str, times: Times) -> tuple[float, float]:
    """Print a line; return the ratios of the medians and of the minima."""
    old, new = (statistics.median(found) for found in times.values())
    ratios = new / old, min(times["new"]) / min(times["old"])
    marked = "".join(f"{ratio:>8.3f}{'!' if ratio > SLOWER else ' '}" for ratio in ratios)
    print(f"{name:<86}{1e3 * old:>10.4g}{1e3 * new:>10.4g}{marked}", flush=True)
    return ratios


def _say_means(ratios: dict[str, list[tuple[float, float]]]) -> None:
    everything = [pair for pairs in ratios.values() for pair in pairs]
    for part, pairs in {**ratios, "all": everything}.items():
        if not pairs:
            continue
        means = [
            math.exp(statistics.fmean(map(math.log, column))) for column in zip(*pairs, strict=True)
        ]
        slower = sum(min(pair) > SLOWER for pair in pairs)
        print(
            f"{part}: geometric mean of {len(pairs)} ratios {means[0]:.3f} of medians,"
            f" {means[1]:.3f} of minima; both above {SLOWER}: {slower}"
        )
