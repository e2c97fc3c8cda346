"""The options of `fastloss evaluate`, in the order of its --help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fastloss.cli.parsing import CLASS_BY_FUNCTION
from fastloss.identifiers import FUNCTIONS

FILES, LOSS, RESULTS, READING, CLUSTER = "Files", "Loss", "Results", "Reading", "Cluster (Dask)"
"""Panels of --help."""


def _with_short_names(name: str) -> str:
    short = [n for n, function in FUNCTIONS.items() if function.__name__ == name != n]
    return f"{name} ({', '.join(short)})" if short else name


LOSS_NAMES = ", ".join(map(_with_short_names, CLASS_BY_FUNCTION))
"""The functions of losses, with their short names in brackets."""

Loss = Annotated[
    str,
    typer.Option(
        help=f"{LOSS_NAMES}; or the name of the class.",
        autocompletion=lambda: list(CLASS_BY_FUNCTION),
        rich_help_panel=LOSS,
    ),
]
Predictions = Annotated[
    str | None, typer.Argument(metavar="PREDICTIONS", help="y_pred: a file, or file:member.")
]
Targets = Annotated[
    str | None, typer.Argument(metavar="TARGETS", help="y_true: a file, or file:member.")
]
PredictionFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--predictions",
        help="Files, a pattern in quotes or a directory: their rows are joined. Repeatable.",
        rich_help_panel=FILES,
    ),
]
TargetFiles = Annotated[
    list[str] | None,
    typer.Option("--targets", help="The same of y_true.", rich_help_panel=FILES),
]
Weights = Annotated[
    list[str] | None,
    typer.Option(help="Sample weights: files as above.", rich_help_panel=FILES),
]
Mask = Annotated[
    list[str] | None,
    typer.Option(help="False: leave the row out; files as above.", rich_help_panel=FILES),
]
FromLogits = Annotated[
    bool | None,
    typer.Option("--from-logits", help="Predictions are logits.", rich_help_panel=LOSS),
]
LabelSmoothing = Annotated[float | None, typer.Option(help="In [0, 1].", rich_help_panel=LOSS)]
LogInput = Annotated[
    bool | None,
    typer.Option("--log-input", help="Predictions are log rates (poisson).", rich_help_panel=LOSS),
]
Axis = Annotated[
    str | None,
    typer.Option(
        help="Class axis; binary, poisson: axes to average over, as 1,2; () for none.",
        rich_help_panel=LOSS,
    ),
]
IgnoreClass = Annotated[
    int | None, typer.Option(help="Label of rows to leave out.", rich_help_panel=LOSS)
]
ClassWeight = Annotated[
    str | None, typer.Option(help="File, a weight a class.", rich_help_panel=LOSS)
]
PosWeight = Annotated[
    str | None,
    typer.Option(help="Number or file: weight of the positive term.", rich_help_panel=LOSS),
]
Reduction = Annotated[
    str,
    typer.Option(help="none, sum, mean or mean_with_sample_weight.", rich_help_panel=LOSS),
]
Dtype = Annotated[
    str | None, typer.Option(help="Type of results, as float64.", rich_help_panel=LOSS)
]
RowsOut = Annotated[
    Path | None,
    typer.Option(
        help="Write the row losses here: .npy, .csv, .parquet, or - for CSV on stdout.",
        rich_help_panel=RESULTS,
    ),
]
GradOut = Annotated[
    Path | None,
    typer.Option(help="Write the gradient here, likewise.", rich_help_panel=RESULTS),
]
Worst = Annotated[
    int,
    typer.Option(
        min=0,
        help="How many of the worst rows, and of the worst groups, to show.",
        rich_help_panel=RESULTS,
    ),
]
Top = Annotated[
    list[str] | None,
    typer.Option(
        help="Accuracy among the k most likely classes, for one k or several: 5, or 1,5.",
        rich_help_panel=RESULTS,
    ),
]
Bins = Annotated[
    int,
    typer.Option(min=1, help="Bins of the calibration error.", rich_help_panel=RESULTS),
]
Brier = Annotated[
    bool,
    typer.Option(
        "--brier",
        help="Brier score; of logits it takes as long as the loss.",
        rich_help_panel=RESULTS,
    ),
]
Groups = Annotated[
    list[str] | None,
    typer.Option(
        help="A key for each row, integers or strings: losses by group. Files as above.",
        rich_help_panel=RESULTS,
    ),
]
GroupsOut = Annotated[
    Path | None,
    typer.Option(
        help="Write the table of groups here: .csv, .parquet, .npy, or - for CSV on stdout.",
        rich_help_panel=RESULTS,
    ),
]
Plot = Annotated[
    Path | None,
    typer.Option(
        help="Draw row losses, calibration and groups here: .png, .svg or .html.",
        rich_help_panel=RESULTS,
    ),
]
MaxMemory = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="Stay below so much memory: bytes, or a number with K, M or G, as 512M.",
        rich_help_panel=READING,
    ),
]
BlockRows = Annotated[
    int | None,
    typer.Option(min=1, help="Rows of a block; by default 4 MiB of them.", rich_help_panel=READING),
]
NoMmap = Annotated[
    bool,
    typer.Option(
        "--no-mmap",
        help="Plain reads: for files that others may cut short.",
        rich_help_panel=READING,
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        help="Address of a Dask scheduler, as tcp://HOST:8786, whose workers see the files.",
        rich_help_panel=CLUSTER,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="Start so many processes of Dask here.", rich_help_panel=CLUSTER),
]
