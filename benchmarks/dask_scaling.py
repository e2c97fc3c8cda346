"""How scoring by Dask scales: `python -m benchmarks.dask_scaling` fills docs/performance.md.

One and two workers are measured here. For more, a simulation shares out what was measured of
one: the time of a task, of a merge of eight partial results, and of Dask's scheduler for each task.
Workers read as fast as this machine reads its page cache; a shared file system may be the limit.
"""

from __future__ import annotations

import heapq
import itertools
import os
import pickle
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from distributed import Client, wait

import fastloss as fl
from fastloss.dask.files import PART_BYTES, cluster, evaluate_files, open_files
from fastloss.dask.graph import FAN_IN, _sum
from fastloss.formats.shards import open_shards
from fastloss.out_of_core.class_scores import DEFAULT_SCORES
from fastloss.out_of_core.evaluation import default_block_rows
from fastloss.out_of_core.parts import Task, equal_parts
from tools.fill_docs import fill

from . import machine, report

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
CLASSES, ROWS = 1_000, 524_288
LARGE = 10**12
"""Bytes of predictions in the simulation."""
WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
ROUNDS = 5
NETWORK = 1e9
"""Assumed: bytes a second between two workers."""
TASK = Task(fl.SparseCategoricalCrossentropy(from_logits=True), DEFAULT_SCORES, 5)


class Costs(NamedTuple):
    """Seconds."""

    part: float
    merge: float
    """Of eight partial results, which come over the network."""
    scheduling: float
    """Of one task: processor time of Dask's scheduler and client, which share a process here."""


def seconds(call: Callable[[], Any]) -> float:
    """Return the least time of a call, after one that does not count."""
    times = []
    for _ in range(ROUNDS + 1):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times[1:])


def simulated(parts: int, workers: int, costs: Costs) -> float:
    """Return the seconds until all parts are scored and merged.

    A worker that is free takes a merge if one is ready, or else the next part.
    """
    levels = [parts]
    while levels[-1] > 1:
        levels.append(-(-levels[-1] // FAN_IN))
    waiting = [
        [min(FAN_IN, below - FAN_IN * number) for number in range(count)]
        for below, count in itertools.pairwise(levels)
    ]
    ready_at = [[0.0] * len(groups) for groups in waiting]
    merges: list[tuple[float, int, int]] = []
    free = [0.0] * workers
    scheduler = end = 0.0
    next_part = 0
    for _ in range(sum(levels)):
        now = heapq.heappop(free)
        if merges and (merges[0][0] <= now or next_part == parts):
            ready, level, number = heapq.heappop(merges)
            now, cost = max(now, ready), costs.merge
        else:
            level, number, cost = 0, next_part, costs.part
            next_part += 1
        scheduler = max(scheduler, now if level else 0.0) + costs.scheduling
        end = max(now, scheduler) + cost
        heapq.heappush(free, end)
        if level < len(waiting):
            group = number // FAN_IN
            waiting[level][group] -= 1
            ready_at[level][group] = max(ready_at[level][group], end)
            if not waiting[level][group]:
                heapq.heappush(merges, (ready_at[level][group], level + 1, group))
    return end


def measured_costs(client: Client, names: dict[str, list[str]]) -> Costs:
    """Return what parts, merges and scheduling take on this machine."""
    with ExitStack() as files:
        readers = {name: files.enter_context(open_shards(paths)) for name, paths in names.items()}
        inputs = TASK.inputs(readers)
        limit = default_block_rows(inputs)
        blocks = PART_BYTES // (limit * CLASSES * 4)
        parts = iter(equal_parts(inputs.loss_shape, limit, blocks)[: ROUNDS + 1])
        found = []
        part = seconds(lambda: found.append(TASK.summarize(readers, next(parts))))
    some = (found * FAN_IN)[:FAN_IN]
    moved = sum(len(pickle.dumps(one)) for one in some)
    merge = seconds(lambda: _sum(some)) + moved / NETWORK
    count = 2_000
    start = time.process_time()
    wait(client.map(abs, range(count), pure=False))
    return Costs(part, merge, (time.process_time() - start) / count)


def measure() -> str:
    """Return the tables, in Markdown."""
    rng = np.random.default_rng(0)
    times = {}
    with tempfile.TemporaryDirectory() as folder:
        block = rng.normal(0, 3, (16_384, CLASSES)).astype(np.float32)
        names: dict[str, list[str]] = {"y_pred": [], "y_true": [f"{folder}/labels.npy"]}
        for number in range(ROWS // len(block)):
            names["y_pred"].append(f"{folder}/logits-{number}.npy")
            np.save(names["y_pred"][-1], block)
        np.save(names["y_true"][0], rng.integers(0, CLASSES, ROWS))
        readers = open_files(names, mapped=True)
        for workers in (1, 2):
            with cluster(None, workers) as client:
                times[workers] = seconds(lambda: evaluate_files(client, TASK, readers, quiet=True))
                if workers == 1:
                    costs = measured_costs(client, names)
    small, large = (-(-size // PART_BYTES) for size in (ROWS * CLASSES * 4, LARGE))
    gigabytes = ROWS * CLASSES * 4 / 1e9
    here = [
        [
            str(workers),
            f"{took:.2f}",
            f"{simulated(small, workers, costs):.2f}",
            f"{gigabytes / took:.1f}",
        ]
        for workers, took in times.items()
    ]
    alone = simulated(large, 1, costs)
    there = []
    for workers in WORKERS:
        took = simulated(large, workers, costs)
        there.append(
            [str(workers), f"{took:.1f}", f"{alone / took:.1f}", f"{alone / took / workers:.0%}"]
        )
    head = ["workers", "seconds, measured", "simulated", "GB/s"]
    cores = len(os.sched_getaffinity(0))
    part, merge, scheduling = (1e3 * cost for cost in costs)
    note = (
        f"The least of {ROUNDS} runs. {gigabytes:.1f} GB of float32 logits, {CLASSES:,} classes, in"
        f" the page cache; {cores} cores for workers, scheduler and client together. A task of 64"
        f" MiB takes {part:.1f} ms, a merge of {FAN_IN} results {merge:.2f} ms with their way at"
        f" 1 GB/s (assumed), scheduling {scheduling:.2f} ms a task."
    )
    simulation = f"Simulated, {LARGE // 10**9:,} GB of logits as {large:,} tasks:"
    wide = ["workers", "seconds", "times one worker", "of ideal"]
    return "\n\n".join(
        [
            report.markdown(head, here),
            note,
            simulation,
            report.markdown(wide, there),
            f"{machine.place()}.",
        ]
    )


if __name__ == "__main__":
    PAGE.write_text(fill(PAGE.read_text(), "dask", measure()))
