"""What a command shows on stderr while it works: a bar, and a line for each kernel it compiles."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text


@contextmanager
def progress(quiet: bool, *columns: ProgressColumn) -> Iterator[Progress]:
    """Show a progress bar if stderr is a terminal, and log lines above it; nothing if `quiet`."""
    console = Console(stderr=True, soft_wrap=True)
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        *columns,
        console=console,
        transient=True,
        disable=quiet or not console.is_terminal,
    )
    with bar, _log_lines(console, quiet):
        yield bar


class _OnceStarted(ProgressColumn):
    """A column that is empty while its task has not begun."""

    def __init__(self, column: ProgressColumn) -> None:
        super().__init__()
        self._column = column

    def render(self, task: Task) -> RenderableType:
        """Return what to show of a task."""
        return self._column(task) if task.started else Text()


@contextmanager
def blocks_done(quiet: bool, name: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show how much of `total` bytes is done, at which rate, and the time left.

    Yields what is to be called with the bytes of each block; until its first call, with 0, the bar
    says that kernels are made ready.
    """
    columns = map(_OnceStarted, (DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()))
    with progress(quiet, *columns) as bar:
        task = bar.add_task("reading labels, compiling", start=False, total=total)

        def done(size: int) -> None:
            if size:
                bar.advance(task, size)
            else:
                bar.start_task(task)
                bar.update(task, description=name)

        yield done


class _Lines(logging.Handler):
    """Prints log messages on a console, which keeps them apart from a progress bar."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Print one message."""
        self._console.print(record.getMessage(), markup=False, highlight=False)


@contextmanager
def _log_lines(console: Console, quiet: bool) -> Iterator[None]:
    """Print what the library logs about compiling."""
    log = logging.getLogger("fastloss")
    handler: logging.Handler = logging.NullHandler() if quiet else _Lines(console)
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
