"""The only file that knows Numba's options; where compiled kernels are kept: see `cache`.

Whether a call may wake Numba's threads, and how many.

Small work stays on the calling thread and never touches the threading layer. Where the layer is
unsafe the same kernel's serial loop runs instead, with the same bits:

- ``workqueue`` aborts the process when two Python threads enter it: only one at a time may, and
  none of its own workers, where a parallel loop of the user's calls Python (``objmode``);
- a child forked after the layer had started must not start it again (libgomp kills the child).
"""

import inspect
import os
import threading
from functools import cache
from typing import Any

from numba import config, get_num_threads, threading_layer, typeof  # type: ignore[attr-defined]
from numba import types as nb

from fastloss_kernels import tuning
from fastloss_kernels.compiler.jit import _parts, ways


def signature(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the types `arguments` of a kernel are compiled for, whatever their layout.

    Left to itself Numba compiles a kernel anew for every combination of C, Fortran and other
    layouts, writeable and read-only. Here predictions, targets and gradients have any strides and
    all inputs are read-only, which every array of the right dtype and rank satisfies; kernels find
    out at run time what lies contiguous. The last three arguments are loss, gradient and threads.
    """
    kinds: list[Any] = []
    for position, argument in enumerate(arguments):
        kind: Any = typeof(argument)
        if isinstance(kind, nb.Array):
            output = position >= len(arguments) - 3
            layout: Any = "A" if kind.ndim == 3 else "C"
            kind = nb.Array(kind.dtype, kind.ndim, layout, readonly=not output)
        kinds.append(kind)
    return tuple(kinds)


@cache
def parameters(kernel: Any) -> tuple[str, ...]:
    """Return the names of a kernel's arguments but `threads`; KeyError if it is none."""
    _ = _parts[kernel]
    return tuple(inspect.signature(kernel).parameters)[:-1]


def entry(kernel: Any, arguments: tuple[Any, ...], parallel: bool) -> Any:
    """Return what is compiled for the `signature` of these arguments.

    That is the kernel if `parallel`. Else it is its part, which is called with the first and the
    last row in front, and without the number of threads.
    """
    dispatcher, kinds = kernel, signature(arguments)
    if not parallel:
        dispatcher, kinds = _parts[kernel], (nb.intp, nb.intp, *kinds[:-1])
    if not hasattr(dispatcher, "compile"):  # NUMBA_DISABLE_JIT
        return dispatcher
    dispatcher.compile(kinds)
    return dispatcher.overloads[kinds].entry_point


_entries: dict[Any, Any] = {}  # what a kernel is compiled for -> its compiled form

_gate = threading.Lock()

_imported_by = os.getpid()

_launched_by = 0

_shared_layer = False  # whether many Python threads may enter the layer at once


def _layer() -> str:
    """Return the name of the running threading layer, "" if none has been started."""
    try:
        return str(threading_layer())
    except ValueError:
        return ""


def _of_python() -> bool:
    """Return whether the `threading` module knows who started the running thread.

    Not so a worker of the layer. Looking up `threading.current_thread()` there, as logging does,
    makes an entry for it, but one of a class of its own.
    """
    ident = threading.get_ident()
    foreign = threading._DummyThread
    return any(t.ident == ident and not isinstance(t, foreign) for t in threading.enumerate())


def _usable() -> bool:
    """Return whether this thread may run the threading layer; a fork must not inherit one."""
    layer = _layer()
    if layer == "workqueue" and not _of_python():
        return False
    return layer in ("", "tbb") or os.getpid() in (_launched_by, _imported_by)


def _threads() -> int:
    """Return how many threads a call that is worth more than one may have."""
    cores: int = config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    return int(get_num_threads()) if cores > 1 and _usable() else 1


def launch(kernel: Any, x: Any, *rest: Any) -> Any:
    """Return ``kernel(x, *rest, threads)``, on as many threads as the work and the process allow.

    The arguments are believed: see `checked.run` for what must hold of them. Whoever has seen to
    that, as `fastloss` has, saves the microseconds that looking at them takes.
    """
    way = ways.get(kernel)
    if way is not None:
        kernel = way(x, rest[-2]) or kernel  # there is less of that to compile
    if x.size < tuning.PARALLEL:
        return _alone(kernel, x, rest)
    threads = _threads()
    if threads == 1:
        return _alone(kernel, x, rest)
    if _shared_layer:
        return _compiled(kernel, x, rest, True)(x, *rest, threads)
    if not _gate.acquire(blocking=False):
        return _alone(kernel, x, rest)
    try:
        return _first_call(kernel, x, rest, threads)
    finally:
        _gate.release()


def _alone(kernel: Any, x: Any, rest: tuple[Any, ...]) -> Any:
    """Call on this thread."""
    return _compiled(kernel, x, rest, False)(0, rest[-2].size, x, *rest)


def _compiled(kernel: Any, x: Any, rest: tuple[Any, ...], parallel: bool) -> Any:
    """Return the compiled form of the kernel, or of its part, for arguments of these types."""
    grad = rest[-1]
    key = kernel, x.dtype, None if grad is None else grad.dtype, parallel
    try:
        return _entries[key]
    except KeyError:
        return _entries.setdefault(key, entry(kernel, (x, *rest, 0), parallel))


def _first_call(kernel: Any, x: Any, rest: tuple[Any, ...], threads: int) -> Any:
    """Call, and remember which process the layer was started in and whether it may be shared."""
    global _launched_by, _shared_layer
    result = _compiled(kernel, x, rest, True)(x, *rest, threads)
    _launched_by = os.getpid()
    _shared_layer = _layer() in ("omp", "tbb")
    return result
