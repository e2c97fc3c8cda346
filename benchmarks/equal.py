"""The same processors, and the same number of threads, for every contestant."""

import contextlib
import os
import sys
from collections.abc import Iterator

import numba


@contextlib.contextmanager
def processors(threads: int) -> Iterator[None]:
    """Run on so many processors and threads; afterwards as before.

    The process is bound to its processors before any peer is imported: JAX sizes its pool of
    threads by them and has no other setting. Whoever counts for itself is told the number.
    """
    before = numba.get_num_threads()
    bound = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    if not 1 <= threads <= before or (bound is None and threads != before):
        least = 1 if bound is not None else before
        raise ValueError(f"threads must be {least} ... {before} on this machine, got {threads}")
    if bound is not None:
        os.sched_setaffinity(0, sorted(bound)[:threads])
    set_threads(threads)
    try:
        yield
    finally:
        set_threads(before)
        if bound is not None:
            os.sched_setaffinity(0, bound)


def set_threads(threads: int) -> None:
    """Set numba's and torch's number of threads.

    Again before every lap: a parallel loop of numba's OpenMP layer changes torch's number.
    """
    numba.set_num_threads(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def check_threads(threads: int) -> None:
    """Raise RuntimeError unless numba and torch have this number of threads."""
    found = {"numba": numba.get_num_threads()}
    if "torch" in sys.modules:
        found["torch"] = sys.modules["torch"].get_num_threads()
    wrong = {name: number for name, number in found.items() if number != threads}
    if wrong:
        raise RuntimeError(f"every contestant should have {threads} threads, got {wrong}")
