"""`fastloss evaluate`: scores predictions in files, block by block."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import DownloadColumn, TimeRemainingColumn, TransferSpeedColumn

from fastloss.cli import parsing, tables
from fastloss.cli.output import Json, Quiet, one_line_errors, print_json
from fastloss.cli.progress import progress
from fastloss.out_of_core.evaluation import evaluate_in_blocks
from fastloss.out_of_core.npy_files import Source


def evaluate_command(
    predictions: Annotated[Path, typer.Argument(help="y_pred, a .npy file.")],
    targets: Annotated[Path, typer.Argument(help="y_true, a .npy file.")],
    loss: Annotated[str, typer.Option(help="Name of the function or class.")],
    from_logits: Annotated[
        bool | None, typer.Option("--from-logits", help="Predictions are logits.")
    ] = None,
    label_smoothing: Annotated[float | None, typer.Option(help="In [0, 1].")] = None,
    log_input: Annotated[
        bool | None, typer.Option("--log-input", help="Predictions are log rates (poisson).")
    ] = None,
    axis: Annotated[
        str | None,
        typer.Option(
            help="Class axis; binary, poisson: axes to average over, as 1,2; () for none."
        ),
    ] = None,
    ignore_class: Annotated[int | None, typer.Option(help="Label of rows to leave out.")] = None,
    class_weight: Annotated[Path | None, typer.Option(help=".npy, a weight a class.")] = None,
    pos_weight: Annotated[
        str | None, typer.Option(help="Number or .npy: weight of the positive term.")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help=".npy, sample weights.")] = None,
    mask: Annotated[Path | None, typer.Option(help=".npy, false: leave the row out.")] = None,
    reduction: Annotated[
        str, typer.Option(help="none, sum, mean or mean_with_sample_weight.")
    ] = "sum_over_batch_size",
    dtype: Annotated[str | None, typer.Option(help="Type of results, as float64.")] = None,
    rows_out: Annotated[Path | None, typer.Option(help="Write the row losses here.")] = None,
    grad_out: Annotated[Path | None, typer.Option(help="Write the gradient here.")] = None,
    worst: Annotated[int, typer.Option(min=0, help="How many of the worst rows to show.")] = 5,
    block_rows: Annotated[
        int | None, typer.Option(min=1, help="Rows of a block; by default 16 MiB of them.")
    ] = None,
    no_mmap: Annotated[
        bool,
        typer.Option("--no-mmap", help="Plain reads: for files that others may cut short."),
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score predictions: loss, statistics, worst rows; and gradients, block by block."""
    with one_line_errors(), ExitStack() as files:
        read = [predictions, targets, weights, mask, class_weight]
        parsing.check_outputs(filter(None, [rows_out, grad_out]), filter(None, read))
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

        def source(path: Path) -> Source:
            return files.enter_context(Source(path, mapped=not no_mmap))

        y_pred = source(predictions)
        columns = [DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()]
        with progress(quiet, *columns) as bar:
            task = bar.add_task(predictions.name, total=y_pred.nbytes)
            summary = evaluate_in_blocks(
                criterion,
                source(targets),
                y_pred,
                None if weights is None else source(weights),
                None if mask is None else source(mask),
                block_rows=block_rows,
                worst=worst,
                rows_out=rows_out,
                grad_out=grad_out,
                progress=lambda done: bar.advance(task, done),
            )
    values = tables.summary_values(str(predictions), loss, criterion.reduction, summary)
    if as_json:
        print_json(values)
    else:
        Console().print(tables.evaluation_tables(values))
