"""`fastloss evaluate` by Dask: the options --scheduler and --workers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from fastloss.out_of_core.evaluation import Summary
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
    outputs: Iterable[Path | None],
    *,
    mapped: bool,
    quiet: bool,
) -> Summary:
    """Return the summary of files by option, from the workers of a scheduler or some of our own.

    Raises ValueError for `outputs`, which only one process could write.
    """
    if scheduler is not None and workers is not None:
        raise ValueError("give --scheduler, whose workers are there, or --workers, not both")
    if any(outputs):
        raise ValueError(
            "--rows-out and --grad-out are written by one process: leave out --scheduler and"
            " --workers, or store fastloss.dask.rows(...) and value_and_grad(...) as zarr"
        )
    from fastloss.dask.files import cluster, evaluate_files  # not at the top: an extra

    names = {ARGUMENTS[option]: files for option, files in inputs.items() if files}
    with cluster(scheduler, workers) as client:
        return evaluate_files(client, task, names, mapped=mapped, quiet=quiet)
