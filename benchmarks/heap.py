"""Whether freed memory goes back to the system, for libraries that cannot be given an output.

A large array from a fresh process costs a page fault for each 4 kB when it is first written, often
more than the arithmetic. Whoever takes `out=` is spared that. Libraries that do not are spared it
by a malloc that keeps what they free, as a long-running server may have: glibc's can be told so.
"""

import contextlib
import ctypes
from collections.abc import Iterator

# The numbers of mallopt's parameters, from glibc's malloc.h.
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX, ARENA_MAX = -1, -3, -4, -8

# Where glibc's own adjustment ends up once a program has freed a few large blocks. It has to be
# said: the first call of mallopt stops the adjustment.
_USUAL = {MMAP_THRESHOLD: 32 << 20, TRIM_THRESHOLD: 64 << 20, MMAP_MAX: 65536}
_KEEPING = {MMAP_MAX: 0, TRIM_THRESHOLD: -1}


def _mallopt(settings: dict[int, int]) -> bool:
    """Make these settings; False where malloc is not glibc's."""
    try:
        library = ctypes.CDLL(None)
        return all(library.mallopt(name, value) == 1 for name, value in settings.items())
    except (AttributeError, TypeError, OSError):
        return False


def usual() -> bool:
    """Let malloc do what it does in a long-running program; False where it cannot be told.

    All threads share one heap from now on: those of JAX allocate too, and only the main heap can
    keep blocks of any size. Must come before they are started.
    """
    return _mallopt({ARENA_MAX: 1, **_USUAL})


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Keep all freed memory for the next allocation; at the end give it back."""
    _mallopt(_KEEPING)
    try:
        yield
    finally:
        if _mallopt(_USUAL):
            ctypes.CDLL(None).malloc_trim(0)
