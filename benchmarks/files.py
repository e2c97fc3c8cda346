"""Scoring a file that is in the page cache: `python -m benchmarks.files` fills docs/performance.md.

The pass of `fastloss evaluate` over the predictions, beside the loss alone on the same array in
memory, beside reading and copying the file. They take turns; what is shown is each one's median.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numba import get_num_threads

import fastloss as fl
from fastloss.formats.registry import open_array
from fastloss.out_of_core.class_scores import ScoreOptions
from fastloss.out_of_core.evaluation import evaluate_in_blocks
from tools.fill_docs import fill

from . import machine, report

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
LOSS = fl.SparseCategoricalCrossentropy(from_logits=True)
CLASSES = (1_000, 32_000)
PIECE = 1 << 20  # bytes that a thread reads at once
ALONE, COPY = "loss alone, in memory", "copy of the file"


def write_logits(path: Path, classes: int, size: int) -> None:
    """Write a .npy file of about `size` bytes of float32 logits, some rows of which repeat."""
    rows = size // (4 * classes)
    file = np.lib.format.open_memmap(path, "w+", np.float32, (rows, classes))
    some = np.random.default_rng(0).normal(0, 3, (min(rows, 4_000_000 // classes), classes))
    for first in range(0, rows, len(some)):
        file[first : first + len(some)] = some[: rows - first]


def read_in_parallel(path: Path) -> None:
    """Read a file on all threads, each into a buffer of its own."""
    size = path.stat().st_size
    with open(path, "rb", buffering=0) as file:

        def read(start: int) -> None:
            os.preadv(file.fileno(), [bytearray(PIECE)], start)

        with ThreadPoolExecutor(get_num_threads()) as pool:
            list(pool.map(read, range(0, size, PIECE)))


def timed(call: Callable[[], object]) -> float:
    """Return the seconds of a call; of an evaluation, those of its pass."""
    start = time.perf_counter()
    found = call()
    seconds: float = getattr(found, "seconds", time.perf_counter() - start)
    return seconds


def measure(classes: int, size: int, rounds: int) -> list[list[str]]:
    """Return the rows of the table for some number of classes."""
    with tempfile.TemporaryDirectory() as folder:
        path, other = Path(folder) / "logits.npy", Path(folder) / "copy.npy"
        write_logits(path, classes, size)
        x = np.load(path)
        labels = np.random.default_rng(1).integers(0, classes, len(x))
        with open_array(str(path)) as file:
            calls: dict[str, Callable[[], object]] = {
                ALONE: lambda: LOSS(labels, x),
                "read of the file": lambda: read_in_parallel(path),
                "evaluate": lambda: evaluate_in_blocks(LOSS, labels, file),
                "evaluate --top 5": lambda: evaluate_in_blocks(
                    LOSS, labels, file, options=ScoreOptions((5,))
                ),
                "evaluate --top 5 --brier": lambda: evaluate_in_blocks(
                    LOSS, labels, file, options=ScoreOptions((5,), brier=True)
                ),
                COPY: lambda: shutil.copyfile(path, other),
                "evaluate --grad-out": lambda: evaluate_in_blocks(
                    LOSS, labels, file, grad_out=other
                ),
            }
            seconds: dict[str, list[float]] = {name: [] for name in calls}
            for turn in range(rounds + 1):  # in the first one kernels are compiled
                for name, call in calls.items():
                    took = timed(call)
                    if turn:
                        seconds[name].append(took)
        medians = {name: statistics.median(times) for name, times in seconds.items()}
        table = []
        for name, took in medians.items():
            limit = medians[COPY if "grad" in name or name == COPY else ALONE]
            speeds = f"{x.nbytes / took / 1e9:.2f}", f"{limit / took:.2f}"
            table.append([f"{len(x):,} × {classes:,}", name, f"{1e3 * took:.0f}", *speeds])
        return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1_000, help="size of each file")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    rows = [row for c in CLASSES for row in measure(c, given.megabytes * 10**6, given.rounds)]
    head = ["logits, float32", "work", "ms", "GB/s", "of the loss alone, or of the copy"]
    note = f"{get_num_threads()} threads, {given.rounds} rounds. {machine.place()}."
    PAGE.write_text(fill(PAGE.read_text(), "files", f"{report.markdown(head, rows)}\n\n{note}"))
