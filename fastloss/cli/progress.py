"""What a command shows on stderr while it works: a bar, and a line for each kernel it compiles."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn


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
