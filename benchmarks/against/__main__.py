"""Compare the working checkout with another commit: bits, compile times, speed.

Both trees run the same program in processes of their own, each with a cache of machine code of its
own. Keep these with --cache, and only what changed is compiled anew.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from . import bits, compiling, speed, trees


def main() -> int:
    """Return the exit code: 1 if bits differ."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.against", description=__doc__)
    parser.add_argument("old", metavar="REV", help="a commit, or a directory with a checkout")
    parser.add_argument("--bits", action="store_true", help="hold results to each other (default)")
    parser.add_argument("--compile", action="store_true", help="measure first calls")
    parser.add_argument("--speed", action="store_true", help="time calls, in turn")
    parser.add_argument("--rounds", type=int, help="how often --compile (1), --speed (15) measure")
    parser.add_argument(
        "--only",
        metavar="TEXT",
        action="append",
        default=[],
        help="only cases whose name holds TEXT; several times: that hold all of them",
    )
    parser.add_argument("--together", action="store_true", help="--bits: both trees at once")
    parser.add_argument("--cache", type=Path, help="directory that keeps what both trees compile")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        directory = (given.cache or Path(place)).resolve()
        old, new = trees.both(given.old, directory)
        fine = True
        if given.bits or not (given.compile or given.speed):
            fine = bits.compare(old, new, given.only, given.together)
        if given.compile:
            compiling.compare((old, new), given.only, given.rounds or 1)
        if given.speed:
            speed.compare(old, new, given.only, given.rounds or 15)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
