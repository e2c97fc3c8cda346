"""The `fastloss` command: `main` is what the console script calls."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from io import TextIOWrapper
from types import FrameType

EXTRA = 'fastloss: error: the command line needs its extra: pip install "fastloss[cli]"'


def main() -> None:
    """Run the command line and exit: 0 fine, 1 a check failed, 2 bad input, 130 interrupted."""
    if isinstance(sys.stdout, TextIOWrapper):  # it may know few signs, and rich uses many
        sys.stdout.reconfigure(errors="replace")
    try:
        _run()
    except KeyboardInterrupt:
        print("fastloss: interrupted", file=sys.stderr)
        sys.exit(130)
    except OSError as error:  # of standard output: what the commands meet, they say themselves
        with suppress(OSError):
            print(f"fastloss: error: standard output: {error.strerror}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for what Python has yet to write at exit
        sys.exit(2)


def _run() -> None:
    try:
        from fastloss.cli.commands import app
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in {"typer", "rich"}:
            raise
        print(EXTRA, file=sys.stderr)
        sys.exit(2)
    for name in ("SIGTERM", "SIGHUP"):  # Windows knows the first of them
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:  # not under nohup
            signal.signal(number, _stop)
    # Threads that spin while they wait lose whole time slices on a machine that others use too.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app()


def _stop(number: int, frame: FrameType | None) -> None:
    """Leave by an exception, so that unfinished outputs are removed on the way out."""
    sys.exit(128 + number)
