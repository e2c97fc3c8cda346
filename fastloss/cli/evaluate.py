"""`fastloss evaluate`: scores predictions in files, block by block."""

from __future__ import annotations

import itertools
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import DownloadColumn, TimeRemainingColumn, TransferSpeedColumn

from fastloss.cli import parsing, tables
from fastloss.cli.cluster import evaluate_on_cluster
from fastloss.cli.output import Json, Quiet, one_line_errors, print_json
from fastloss.cli.progress import progress
from fastloss.cli.result import group_columns, json_values
from fastloss.formats.reader import Reader
from fastloss.formats.shards import expanded, open_shards
from fastloss.formats.tables import STDOUT, check_table, open_table
from fastloss.out_of_core.class_scores import ScoreOptions
from fastloss.out_of_core.evaluation import evaluate_in_blocks
from fastloss.out_of_core.parts import Task

FILES, LOSS, RESULTS, READING = "Files", "Loss", "Results", "Reading"
CLUSTER = "Cluster (Dask)"
"""Panels of --help."""


def evaluate_command(
    loss: Annotated[str, typer.Option(help="Name of the function or class.", rich_help_panel=LOSS)],
    predictions: Annotated[
        str | None, typer.Argument(metavar="PREDICTIONS", help="y_pred: a file, or file:member.")
    ] = None,
    targets: Annotated[
        str | None, typer.Argument(metavar="TARGETS", help="y_true: a file, or file:member.")
    ] = None,
    prediction_files: Annotated[
        list[str] | None,
        typer.Option(
            "--predictions",
            help="Files, a pattern in quotes or a directory: their rows are joined. Repeatable.",
            rich_help_panel=FILES,
        ),
    ] = None,
    target_files: Annotated[
        list[str] | None,
        typer.Option("--targets", help="The same of y_true.", rich_help_panel=FILES),
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(help="Sample weights: files as above.", rich_help_panel=FILES),
    ] = None,
    mask: Annotated[
        list[str] | None,
        typer.Option(help="False: leave the row out; files as above.", rich_help_panel=FILES),
    ] = None,
    from_logits: Annotated[
        bool | None,
        typer.Option("--from-logits", help="Predictions are logits.", rich_help_panel=LOSS),
    ] = None,
    label_smoothing: Annotated[
        float | None, typer.Option(help="In [0, 1].", rich_help_panel=LOSS)
    ] = None,
    log_input: Annotated[
        bool | None,
        typer.Option(
            "--log-input", help="Predictions are log rates (poisson).", rich_help_panel=LOSS
        ),
    ] = None,
    axis: Annotated[
        str | None,
        typer.Option(
            help="Class axis; binary, poisson: axes to average over, as 1,2; () for none.",
            rich_help_panel=LOSS,
        ),
    ] = None,
    ignore_class: Annotated[
        int | None, typer.Option(help="Label of rows to leave out.", rich_help_panel=LOSS)
    ] = None,
    class_weight: Annotated[
        str | None, typer.Option(help="File, a weight a class.", rich_help_panel=LOSS)
    ] = None,
    pos_weight: Annotated[
        str | None,
        typer.Option(help="Number or file: weight of the positive term.", rich_help_panel=LOSS),
    ] = None,
    reduction: Annotated[
        str,
        typer.Option(help="none, sum, mean or mean_with_sample_weight.", rich_help_panel=LOSS),
    ] = "sum_over_batch_size",
    dtype: Annotated[
        str | None, typer.Option(help="Type of results, as float64.", rich_help_panel=LOSS)
    ] = None,
    rows_out: Annotated[
        Path | None,
        typer.Option(
            help="Write the row losses here: .npy, .csv, .parquet, or - for CSV on stdout.",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    grad_out: Annotated[
        Path | None,
        typer.Option(help="Write the gradient here, likewise.", rich_help_panel=RESULTS),
    ] = None,
    worst: Annotated[
        int,
        typer.Option(min=0, help="How many of the worst rows to show.", rich_help_panel=RESULTS),
    ] = 5,
    top: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            help="Accuracy among the k most likely classes. Repeatable.",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    bins: Annotated[
        int,
        typer.Option(min=1, help="Bins of the calibration error.", rich_help_panel=RESULTS),
    ] = 15,
    brier: Annotated[
        bool,
        typer.Option(
            "--brier",
            help="Brier score; of logits it takes as long as the loss.",
            rich_help_panel=RESULTS,
        ),
    ] = False,
    groups: Annotated[
        list[str] | None,
        typer.Option(
            help="A key for each row, integers or strings: losses by group. Files as above.",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    groups_out: Annotated[
        Path | None,
        typer.Option(
            help="Write the table of groups here: .csv, .parquet, .npy, or - for CSV on stdout.",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    block_rows: Annotated[
        int | None,
        typer.Option(
            min=1, help="Rows of a block; by default 4 MiB of them.", rich_help_panel=READING
        ),
    ] = None,
    no_mmap: Annotated[
        bool,
        typer.Option(
            "--no-mmap",
            help="Plain reads: for files that others may cut short.",
            rich_help_panel=READING,
        ),
    ] = False,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="Address of a Dask scheduler, as tcp://HOST:8786, whose workers see the files.",
            rich_help_panel=CLUSTER,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Start so many processes of Dask here.", rich_help_panel=CLUSTER),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score predictions: loss, statistics, worst rows; and gradients, block by block.

    Files are .npy, .npz, .safetensors, .parquet, .zarr or .csv. An array within a file is named
    after a colon: model.safetensors:logits, table.parquet:p0,p1,p2.
    """
    with one_line_errors(), ExitStack() as files:
        names = {
            "predictions": parsing.one_of("predictions", predictions, prediction_files),
            "targets": parsing.one_of("targets", targets, target_files),
            "weights": weights or [],
            "mask": mask or [],
            "groups": groups or [],
        }
        inputs = {option: expanded(given) for option, given in names.items()}
        read = [*itertools.chain(*inputs.values()), *filter(None, [class_weight, pos_weight])]
        outputs = list(filter(None, [rows_out, grad_out, groups_out]))
        parsing.check_outputs(outputs, read)
        if groups_out is not None:
            check_table(groups_out)
            if not groups:
                raise ValueError("--groups-out needs --groups, the keys of the rows")
        criterion = parsing.parse_loss(
            loss,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            log_input=log_input,
            axis=None if axis is None else parsing.parse_axis(axis),
            ignore_class=ignore_class,
            class_weight=None if class_weight is None else parsing.read_array(class_weight),
            pos_weight=None if pos_weight is None else parsing.parse_number_or_array(pos_weight),
            reduction=reduction,
            dtype=dtype,
        )

        def opened(option: str) -> Reader:
            keys = option == "groups"
            return files.enter_context(open_shards(inputs[option], mapped=not no_mmap, keys=keys))

        y_pred, y_true = opened("predictions"), opened("targets")
        if axis is None:
            criterion = parsing.row_for_each_element(criterion, y_true.shape, y_pred.shape)
        options = ScoreOptions(tuple(sorted(set(top or ()))), bins, brier)
        if scheduler is not None or workers is not None:
            summary = evaluate_on_cluster(
                scheduler,
                workers,
                Task(criterion, options, worst, block_rows),
                inputs,
                [rows_out, grad_out],
                mapped=not no_mmap,
                quiet=quiet,
            )
        else:
            columns = [DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()]
            with progress(quiet, *columns) as bar:
                task = bar.add_task(y_pred.name, total=y_pred.nbytes)
                summary = evaluate_in_blocks(
                    criterion,
                    y_true,
                    y_pred,
                    opened("weights") if weights else None,
                    opened("mask") if mask else None,
                    block_rows=block_rows,
                    worst=worst,
                    rows_out=rows_out,
                    grad_out=grad_out,
                    groups=opened("groups") if groups else None,
                    options=options,
                    progress=lambda done: bar.advance(task, done),
                )
        if groups_out is not None:
            with open_table(groups_out) as table:
                table.write(group_columns(criterion, summary))
    values = json_values(inputs["predictions"], loss, criterion, summary, options, worst)
    rows_on_stdout = STDOUT in map(str, outputs)  # then the result goes to stderr
    if as_json:
        print_json(values, err=rows_on_stdout)
    else:
        Console(stderr=rows_on_stdout).print(tables.evaluation_tables(values))
