"""`fastloss evaluate`: scores predictions in files, block by block."""

from __future__ import annotations

import itertools
from contextlib import ExitStack
from pathlib import Path

import typer
from rich.console import Console

from fastloss.cli import evaluate_options as options
from fastloss.cli import parsing, tables
from fastloss.cli.cluster import evaluate_on_cluster
from fastloss.cli.logits import warning_of_logits
from fastloss.cli.output import Json, Quiet, one_line_errors, print_json
from fastloss.cli.plot.picture import check_plot, open_picture, picture_of
from fastloss.cli.progress import blocks_done
from fastloss.cli.result import group_columns, json_values
from fastloss.formats.reader import Reader
from fastloss.formats.shards import expanded, open_shards
from fastloss.formats.sinks import check_output
from fastloss.formats.tables import STDOUT, check_table, open_table
from fastloss.out_of_core.class_scores import ScoreOptions
from fastloss.out_of_core.evaluation import evaluate_in_blocks
from fastloss.out_of_core.outputs import Outputs
from fastloss.out_of_core.parts import Task


def evaluate_command(
    context: typer.Context,
    loss: options.Loss,
    predictions: options.Predictions = None,
    targets: options.Targets = None,
    prediction_files: options.PredictionFiles = None,
    target_files: options.TargetFiles = None,
    weights: options.Weights = None,
    mask: options.Mask = None,
    from_logits: options.FromLogits = None,
    label_smoothing: options.LabelSmoothing = None,
    log_input: options.LogInput = None,
    axis: options.Axis = None,
    ignore_class: options.IgnoreClass = None,
    class_weight: options.ClassWeight = None,
    pos_weight: options.PosWeight = None,
    reduction: options.Reduction = "sum_over_batch_size",
    dtype: options.Dtype = None,
    rows_out: options.RowsOut = None,
    grad_out: options.GradOut = None,
    worst: options.Worst = 5,
    top: options.Top = None,
    bins: options.Bins = 15,
    brier: options.Brier = False,
    groups: options.Groups = None,
    groups_out: options.GroupsOut = None,
    plot: options.Plot = None,
    max_memory: options.MaxMemory = None,
    block_rows: options.BlockRows = None,
    no_mmap: options.NoMmap = False,
    scheduler: options.Scheduler = None,
    workers: options.Workers = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score predictions: loss, statistics, worst rows; and gradients, block by block.

    Files are .npy, .npz, .safetensors, .parquet, .zarr or .csv. An array within a file is named
    after a colon: model.safetensors:logits, table.parquet:p0,p1,p2.
    """
    with one_line_errors(), ExitStack() as files:
        parsing.check_no_more(context.args)
        names = {
            "predictions": parsing.one_of("predictions", predictions, prediction_files),
            "targets": parsing.one_of("targets", targets, target_files),
            "weights": weights or [],
            "mask": mask or [],
            "groups": groups or [],
        }
        inputs = {option: expanded(given) for option, given in names.items()}
        read = [*itertools.chain(*inputs.values()), *filter(None, [class_weight, pos_weight])]
        outputs = _checked_outputs(rows_out, grad_out, groups_out, plot)
        parsing.check_distinct(outputs, read)
        if groups_out is not None and not groups:
            raise ValueError("--groups-out needs --groups, the keys of the rows")
        limit = None if max_memory is None else parsing.parse_bytes(max_memory)
        if limit is not None and (scheduler is not None or workers is not None):
            raise ValueError(
                "--max-memory is of one process: workers of Dask have limits of their own"
            )
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
        scores = ScoreOptions(parsing.parse_top(top or ()), bins, brier)
        with ExitStack() as written:
            table = None if groups_out is None else written.enter_context(open_table(groups_out))
            picture = None if plot is None else written.enter_context(open_picture(plot))
            warning = warning_of_logits(criterion, y_pred)
            if scheduler is not None or workers is not None:
                task = Task(criterion, scores, worst, block_rows)
                paths, mapped = Outputs(rows_out, grad_out), not no_mmap
                summary = evaluate_on_cluster(
                    scheduler, workers, task, inputs, paths, mapped=mapped, quiet=quiet
                )
            else:
                with blocks_done(quiet, y_pred.name, y_pred.nbytes) as done:
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
                        options=scores,
                        max_memory=limit,
                        progress=done,
                    )
            if warning:  # not before an error, which is one line
                typer.echo(f"fastloss: warning: {warning}", err=True)
            by_group = group_columns(criterion, summary)
            if table is not None:
                table.write(by_group)
            if picture is not None:
                picture(picture_of(inputs["predictions"], criterion, summary, by_group))
    predicted = inputs["predictions"]
    values = json_values(predicted, loss, criterion, summary, scores, by_group, worst)
    rows_on_stdout = STDOUT in map(str, outputs)  # then the result goes to stderr
    if as_json:
        print_json(values, err=rows_on_stdout)
    else:
        Console(stderr=rows_on_stdout).print(tables.evaluation_tables(values))


def _checked_outputs(
    rows_out: Path | None, grad_out: Path | None, groups_out: Path | None, plot: Path | None
) -> list[Path]:
    """Return the outputs that are wanted; raise FileError for a suffix that they cannot have."""
    checks = (
        (rows_out, check_output),
        (grad_out, check_output),
        (groups_out, check_table),
        (plot, check_plot),
    )
    wanted = []
    for path, check in checks:
        if path is not None:
            check(path)
            wanted.append(path)
    return wanted
