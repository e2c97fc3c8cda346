"""The commands of `fastloss`: parse arguments, call the package, print a table or JSON."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from fastloss import __version__
from fastloss.cli import parsing, tables
from fastloss.cli.progress import progress
from fastloss.out_of_core.evaluation import evaluate_in_blocks
from fastloss.out_of_core.npy_files import Source
from fastloss.selfcheck.check import Report, entries

app = typer.Typer(
    name="fastloss",
    help="Losses of predictions in .npy files, and their gradients.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bar.")]


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """Turn an exception for bad input into one line on stderr and exit code 2."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("fastloss: interrupted", err=True)
        raise typer.Exit(130) from None
    except (ValueError, TypeError, OSError, MemoryError, ImportError) as error:
        message = " ".join(str(error).split()) or type(error).__name__
        typer.echo(f"fastloss: error: {message}", err=True)
        raise typer.Exit(2) from None


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options_of_all_commands(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Losses of predictions in .npy files, and their gradients."""


@app.command("check")
def check_command(as_json: Json = False) -> None:
    """Check the kernels against documented examples and a float64 reference, on this machine."""
    with progress(as_json) as bar:
        found = []
        for entry in entries():
            found.append(entry)
            bar.console.print(f"{'ok ' if entry.ok else 'OFF'} {entry.what}", markup=False)
    report = Report(tuple(found))
    if as_json:
        _print_json({"ok": report.ok, "entries": [vars(entry) for entry in report.entries]})
    else:
        Console().print(tables.report_tables(report))
    raise typer.Exit(0 if report.ok else 1)


@app.command("doctor")
def doctor_command(as_json: Json = False) -> None:
    """Show versions, processor, threads and the cache: what a bug report needs."""
    from fastloss.cli.doctor import examine  # not at the top: asks LLVM about the processor

    findings = examine()
    if as_json:
        _print_json(findings)
    else:
        Console().print(tables.doctor_table(findings))


@app.command("warmup")
def warmup_command(
    loss: Annotated[
        list[str] | None,
        typer.Argument(
            help="Functions, classes or kernels; by default all losses and activations."
        ),
    ] = None,
    dtype: Annotated[
        list[str] | None, typer.Option(help="float32, float64, float16, bfloat16; all.")
    ] = None,
    curvature: Annotated[bool, typer.Option("--curvature", help="Second derivatives too.")] = False,
    export: Annotated[
        Path | None, typer.Option(help="Write a bundle of prebuilt kernels here, a .zip file.")
    ] = None,
    target: Annotated[
        str, typer.Option(help="native (this processor), x86-64-v3 or x86-64-v4.")
    ] = "native",
    processes: Annotated[
        int | None, typer.Option(min=1, help="How many compile at once; by default all cores.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Compile the kernels now, so that no later run has to."""
    from fastloss.cli import warmup  # not at the top: no other command needs it

    with _one_line_errors():
        if target not in warmup.TARGETS:
            raise ValueError(f"target must be one of {', '.join(warmup.TARGETS)}, got {target!r}")
        if target != "native" and export is None:
            raise ValueError(f"target {target} is for bundles: name a file by --export")
        if not warmup.compiles():
            raise ValueError("NUMBA_DISABLE_JIT is set: nothing is compiled")
        names = loss or (*warmup.LOSSES, *warmup.ACTIVATIONS)
        todo = warmup.jobs(names, dtype or tuple(warmup.DTYPES), curvature)
        done: list[warmup.Done] = []
        with progress(quiet, TextColumn("{task.completed} of {task.total}")) as bar:
            task = bar.add_task("starting", total=len(todo))
            for one in warmup.compiled(todo, processes or _cores(), target):
                done.append(one)
                what = "compiled" if one.compiled else "found"
                bar.update(task, description=one.name, advance=1)
                if not quiet:
                    bar.console.print(f"{what} {one.name}", markup=False, highlight=False)
        files = dict(one.file for one in done if one.file is not None)
        if not files:
            raise OSError("nothing could be kept: no directory for compiled kernels is writeable")
        if export is not None:
            warmup.write_bundle(export, files.items())
    fresh = sum(one.compiled for one in done)
    place = export or ", ".join(sorted({str(one.directory) for one in done}))
    typer.echo(f"{fresh} kernels compiled, {len(done) - fresh} found; they are in {place}")


def _cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@app.command("evaluate")
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
    with _one_line_errors(), ExitStack() as files:
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
        _print_json(values)
    else:
        Console().print(tables.evaluation_tables(values))


def _print_json(values: dict[str, Any]) -> None:
    typer.echo(json.dumps(_json_value(values), indent=2))


def _json_value(value: Any) -> Any:
    """Replace numbers that JSON lacks by "NaN", "Infinity" and "-Infinity"."""
    if isinstance(value, dict):
        return {key: _json_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_value(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
