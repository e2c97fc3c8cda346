"""`fastloss evaluate` by Dask: the options --scheduler and --workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from fastloss.formats.shared_sink import open_shared_sink
from fastloss.out_of_core.evaluation import Summary
from fastloss.out_of_core.outputs import Outputs, open_outputs
from fastloss.out_of_core.parts import Task

ARGUMENTS = {
    "targets": "y_true",
    "predictions": "y_pred",
    "weights": "sample_weight",
    "mask": "mask",
    "groups": "groups",
}
"""Options and the arguments that their files are."""


def evaluate_on_cluster(
    scheduler: str | None,
    workers: int | None,
    task: Task,
    inputs: Mapping[str, Sequence[str]],
    paths: Outputs[Path],
    *,
    mapped: bool,
    quiet: bool,
) -> Summary:
    """Return the summary of files by option, from the workers of a scheduler or some of our own.

    Workers write the outputs, which are complete or absent in the end.
    """
    if scheduler is not None and workers is not None:
        raise ValueError("give --scheduler, whose workers are there, or --workers, not both")
    from fastloss.dask import files  # not at the top: an extra

    names = {ARGUMENTS[option]: given for option, given in inputs.items() if given}
    readers = files.open_files(names, mapped=mapped)
    shape, y_pred = task.inputs(readers).loss_shape, readers["y_pred"]
    # Outputs are closed last: by then workers of our own have ended.
    with (
        open_outputs(task.loss, shape, y_pred, paths, open_shared_sink) as outputs,
        files.cluster(scheduler, workers) as client,
    ):
        return files.evaluate_files(client, task, readers, outputs, quiet=quiet)
