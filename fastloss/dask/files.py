"""Evaluation of files by Dask's workers, each of which reads what it needs by itself."""

from __future__ import annotations

import copy
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from functools import partial
from typing import Any

from distributed import Client, KilledWorker, LocalCluster, progress

from fastloss.dask.graph import COUNTED_BLOCKS, Tasks
from fastloss.formats.reader import Reader
from fastloss.formats.shards import open_shards
from fastloss.out_of_core import evaluation
from fastloss.out_of_core.evaluation import Summary, default_block_rows, output_dtype, summary_of
from fastloss.out_of_core.groups import group_keys
from fastloss.out_of_core.inputs import RowCounts
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


def evaluate_files(
    client: Client, task: Task, names: Mapping[str, Sequence[str]], *, mapped: bool, quiet: bool
) -> Summary:
    """Return the summary of `evaluate_in_blocks`, with the same bits of the value.

    Parameters
    ----------
    client : Client
        Its workers see the files at the same paths.
    task : Task
        What is computed.
    names : mapping of str to sequence of str
        For each argument, as y_pred and groups, the files as for `open_shards`.
    mapped : bool
        As for `open_shards`.
    quiet : bool
        No progress bar.

    Raises
    ------
    ValueError, TypeError
        As from `evaluate_in_blocks`; the message names the rows of the task.
    OSError
        If workers die again and again over one part.
    """
    readers = {
        name: open_shards(list(map(os.path.abspath, files)), mapped=mapped, keys=name == "groups")
        for name, files in names.items()
    }
    inputs = task.inputs(readers)
    shape, y_pred = inputs.loss_shape, readers["y_pred"]
    if "groups" in readers:
        group_keys(readers["groups"], shape)  # checks the shape
    limit = task.block_rows or default_block_rows(inputs)
    block_bytes = limit * (y_pred.nbytes // max(1, math.prod(shape)))
    shared = Tasks("files")
    given = shared.delayed(shared.constant((task, readers)))
    counted = equal_parts(shape, evaluation.BLOCK_ROWS, COUNTED_BLOCKS)
    scored = equal_parts(shape, limit, max(1, PART_BYTES // max(1, block_bytes)))
    tasks = Tasks("result", [given])

    def merged(method: str, parts: list[Part]) -> Any:
        calls = (partial(_of_files, method, part) for part in parts)
        return tasks.merge([tasks.add(call, given.key, kind=method) for call in calls])

    counts, found = merged("count", counted), merged("summarize", scored)
    output = output_dtype(task.loss, y_pred.dtype)
    finish = partial(_counted_and_found, task.loss.reduction)
    start = time.perf_counter()
    future = client.compute(tasks.delayed(tasks.add(finish, counts, found)))
    if not quiet and sys.stderr.isatty():
        with redirect_stdout(sys.stderr):
            progress(future, notebook=False)
    try:
        counts, found = future.result()
    except KilledWorker as error:
        raise OSError(f"workers died again and again, of memory perhaps: {error}") from None
    seconds = time.perf_counter() - start
    return summary_of(task.loss, shape, output, counts, found, seconds)


def _of_files(method: str, part: Part, shared: tuple[Task, Readers]) -> Any:
    """Call a method of the task with readers of its own: those of other threads have a position."""
    task, readers = shared
    with ExitStack() as files:
        own = {name: files.enter_context(copy.deepcopy(r)) for name, r in readers.items()}
        return getattr(task, method)(own, part)


def _counted_and_found(
    reduction: str | None, counts: RowCounts, found: PartialSummary
) -> tuple[RowCounts, PartialSummary]:
    return counts.of_all(reduction), found
