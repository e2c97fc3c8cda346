"""The `fastloss` command: `main` is what the console script calls."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

EXTRA = 'fastloss: error: the command line needs its extra: pip install "fastloss[cli]"'


def main() -> None:
    """Run the command line and exit: 0 fine, 1 a check failed, 2 bad input, 130 interrupted."""
    try:
        from fastloss.commands import app
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in {"typer", "rich"}:
            raise
        print(EXTRA, file=sys.stderr)
        sys.exit(2)
    signal.signal(signal.SIGTERM, _stop)
    # Threads that spin while they wait lose whole time slices on a machine that others use too.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app()


def _stop(number: int, frame: FrameType | None) -> None:
    """Leave by an exception, so that unfinished outputs are removed on the way out."""
    sys.exit(128 + number)
