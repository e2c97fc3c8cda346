"""The entry point of the `fastloss` command."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from io import TextIOWrapper
from types import FrameType

EXTRA_MISSING = (
    "fastloss: error: the command line needs the packages typer and rich: pip install typer rich"
    " (fastloss's extra cli)"
)


def main() -> None:
    """Run the command line and exit: 0 success, 1 a check failed, 2 bad input, 130 interrupted."""
    if isinstance(sys.stdout, TextIOWrapper):  # its encoding may lack characters that rich uses
        sys.stdout.reconfigure(errors="replace")
    try:
        _run()
    except KeyboardInterrupt:
        print("fastloss: interrupted", file=sys.stderr)
        sys.exit(130)
    except OSError as error:  # of standard output; the commands report all other errors
        with suppress(OSError):
            print(f"fastloss: error: standard output: {error.strerror}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for output that Python flushes at exit
        sys.exit(2)


def _run() -> None:
    try:
        from fastloss.cli.commands import app
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in {"typer", "rich"}:
            raise
        print(EXTRA_MISSING, file=sys.stderr)
        sys.exit(2)
    for name in ("SIGTERM", "SIGHUP"):  # Windows only has SIGTERM
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:  # not under nohup
            signal.signal(number, _exit_on_signal)
    # Threads that spin while they wait lose whole time slices on a machine that is shared.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app()


def _exit_on_signal(number: int, frame: FrameType | None) -> None:
    """Exit by an exception, so that incomplete output files are removed."""
    sys.exit(128 + number)
