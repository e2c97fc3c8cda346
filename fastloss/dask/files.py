"""Evaluation of files by Dask's workers, each of which reads what it needs by itself."""

from __future__ import annotations

import copy
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from functools import partial
from typing import Any

from distributed import Client, KilledWorker, LocalCluster, progress

from fastloss.dask.graph import COUNTED_BLOCKS, Tasks
from fastloss.formats.npy_sink import NpyElements, NpyWriter
from fastloss.formats.reader import Reader
from fastloss.formats.shards import open_shards
from fastloss.out_of_core import evaluation
from fastloss.out_of_core.evaluation import Summary, default_block_rows, summary_of
from fastloss.out_of_core.groups import group_keys
from fastloss.out_of_core.inputs import RowCounts
from fastloss.out_of_core.outputs import NO_OUTPUTS, Outputs, output_dtype
from fastloss.out_of_core.partial_summary import PartialSummary
from fastloss.out_of_core.parts import Part, Task, equal_parts

PART_BYTES = 1 << 26
"""About how many bytes of predictions a task scores."""
TIMEOUT = 30
"""Seconds after which a scheduler that does not answer is none."""

ANY_PORT = "127.0.0.1:0"
"""Of the web server that every scheduler has: a fixed one may be taken, which is a warning."""

Readers = dict[str, Reader]


@contextmanager
def cluster(scheduler: str | None, workers: int | None) -> Iterator[Client]:
    """Connect to a scheduler's address, or start some worker processes on this machine.

    Raises OSError if there is no scheduler.
    """
    with ExitStack() as stack:
        if scheduler is None:
            local = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address=ANY_PORT,
            )
            found: Any = stack.enter_context(local)
        else:
            found = scheduler
        yield stack.enter_context(Client(found, timeout=TIMEOUT))


def open_files(names: Mapping[str, Sequence[str]], *, mapped: bool) -> Readers:
    """Return readers by the names of the arguments, as y_pred and groups; workers get copies.

    The files are named as for `open_shards`, and their paths become absolute.
    """
    return {
        name: open_shards(list(map(os.path.abspath, files)), mapped=mapped, keys=name == "groups")
        for name, files in names.items()
    }


def evaluate_files(
    client: Client,
    task: Task,
    readers: Readers,
    outputs: Outputs[NpyElements] = NO_OUTPUTS,
    *,
    quiet: bool,
) -> Summary:
    """Return the summary of `evaluate_in_blocks`, with the same bits of the value.

    Parameters
    ----------
    client : Client
        Its workers see the files at the same paths.
    task : Task
        What is computed.
    readers : Readers
        The files, from `open_files`.
    outputs : Outputs
        Files that are there already: each task writes what it computes to its place in them.
    quiet : bool
        No progress bar.

    Raises
    ------
    ValueError, TypeError
        As from `evaluate_in_blocks`; the message names the rows of the task.
    OSError
        If workers die again and again over one part.
    """
    inputs = task.inputs(readers)
    shape, y_pred = inputs.loss_shape, readers["y_pred"]
    if "groups" in readers:
        group_keys(readers["groups"], shape)  # checks the shape
    limit = task.block_rows or default_block_rows(inputs)
    block_bytes = limit * (y_pred.nbytes // max(1, math.prod(shape)))
    shared = Tasks("files")
    given = shared.delayed(shared.constant((task, readers, outputs)))
    counted = equal_parts(shape, evaluation.BLOCK_ROWS, COUNTED_BLOCKS)
    scored = equal_parts(shape, limit, max(1, PART_BYTES // max(1, block_bytes)))
    tasks = Tasks("result", [given])

    def merged(function: Callable[..., Any], parts: list[Part], *more: Any) -> Any:
        calls = (partial(function, part) for part in parts)
        kind = function.__name__
        return tasks.merge([tasks.add(call, given.key, *more, kind=kind) for call in calls])

    of_all = partial(RowCounts.of_all, reduction=task.loss.reduction)
    counts = tasks.add(of_all, merged(count, counted))
    found = merged(summarize, scored, *([] if outputs.gradient is None else [counts]))
    start = time.perf_counter()
    future = client.compute(tasks.delayed(tasks.add(_both, counts, found)))
    if not quiet and sys.stderr.isatty():
        with redirect_stdout(sys.stderr):
            progress(future, notebook=False)
    try:
        counts, found = future.result()
    except KilledWorker as error:
        raise OSError(f"workers died again and again, of memory perhaps: {error}") from None
    seconds = time.perf_counter() - start
    output = output_dtype(task.loss, y_pred.dtype)
    return summary_of(task.loss, shape, output, counts, found, seconds)


Shared = tuple[Task, Readers, Outputs[NpyElements]]
"""What all tasks need."""


def count(part: Part, shared: Shared) -> RowCounts:
    """Return the counts of a part."""
    task, readers, _ = shared
    with ExitStack() as files:
        return task.count(_own(readers, files), part)


def summarize(part: Part, shared: Shared, counts: RowCounts | None = None) -> PartialSummary:
    """Return the summary of a part, and write its outputs."""
    task, readers, outputs = shared
    with ExitStack() as files:
        sinks = outputs.each(lambda one: files.enter_context(NpyWriter(one)))
        return task.summarize(_own(readers, files), part, counts, sinks)


def _own(readers: Readers, files: ExitStack) -> Readers:
    """Return readers of this thread, which have a position: others use theirs at the same time."""
    return {name: files.enter_context(copy.deepcopy(r)) for name, r in readers.items()}


def _both(*results: Any) -> Any:
    return results
