"""The commands of `fastloss`: parse arguments, call the package, print a table or JSON."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import TextColumn

from fastloss import __version__
from fastloss.cli import tables
from fastloss.cli.evaluate import evaluate_command
from fastloss.cli.one_line_group import OneLineGroup
from fastloss.cli.output import Json, Quiet, one_line_errors, print_json
from fastloss.cli.progress import progress
from fastloss.selfcheck.check import Report, entries

WIDE = 500
"""Columns of a table with paths, which must not be broken: as wide as it needs."""

app = typer.Typer(
    name="fastloss",
    help="Losses of predictions in files, and their gradients.",
    cls=OneLineGroup,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


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
    """Losses of predictions in files, and their gradients."""


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
        print_json({"ok": report.ok, "entries": [vars(entry) for entry in report.entries]})
    else:
        Console().print(tables.report_tables(report))
    raise typer.Exit(0 if report.ok else 1)


@app.command("doctor")
def doctor_command(as_json: Json = False) -> None:
    """Show versions, processor, threads and the cache: what a bug report needs."""
    from fastloss.cli.doctor import examine  # not at the top: asks LLVM about the processor

    findings = examine()
    if as_json:
        print_json(findings)
    else:
        Console(width=WIDE).print(tables.doctor_table(findings))


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

    with one_line_errors():
        if target not in warmup.TARGETS:
            raise ValueError(f"target must be one of {', '.join(warmup.TARGETS)}, got {target!r}")
        if target != "native" and export is None:
            raise ValueError(f"target {target} is for bundles: name a file by --export")
        if export is not None:
            warmup.check_bundle_path(export)
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


# Further arguments are not a usage error, so that the command can say where they come from.
app.command("evaluate", context_settings={"allow_extra_args": True})(evaluate_command)
