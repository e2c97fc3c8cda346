"""Launching a kernel from Python: which part, on how many threads, compiled for which types.

Small work stays on the calling thread and never touches the threading layer. Where the layer is
unsafe the part runs on the calling thread too, with the same bits:

- ``workqueue`` aborts the process when two Python threads enter it: only one at a time may, and
  none of its own workers, where a parallel loop of the user's calls Python (``objmode``);
- a child forked after the layer had started must not start it again (libgomp kills the child).
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from numba import config, get_num_threads, threading_layer, typeof  # type: ignore[attr-defined]
from numba import types as nb

from fastloss_kernels import tuning
from fastloss_kernels.compiler.linking import address
from fastloss_kernels.compiler.part_types import part_types
from fastloss_kernels.typing import KEEP_ALL, NO_TARGETS, NOT_DIRECT, SCALE_ONE, Parts


def signature(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the types for which the `arguments` of a part are compiled, whatever their layout."""
    return part_types(tuple(map(typeof, arguments)))


_entries: dict[Any, Any] = {}  # (part, x's dtype, grad's) -> the part as Python calls it
_loops: dict[Any, Any] = {}  # likewise -> the parallel loop that calls it
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


def select_part(parts: Parts, x: Any, loss: Any) -> Any:
    """Return the smallest part that may be enough, judging by the predictions x.

    A part for contiguous rows returns `NOT_DIRECT` if it cannot process one of the arrays; then
    `launch` takes the packing part.
    """
    if x.strides[1] != x.itemsize:
        return parts.columns
    if x.itemsize != loss.itemsize:
        return parts.packed
    short = x.shape[1] * loss.itemsize <= tuning.SHORT_ROW
    return parts.short_rows if short else parts.rows


def launch(kernel: Any, *arguments: Any) -> Any:
    """Return what a kernel returns, on as many threads as the work and the process allow.

    `arguments` are those of a part behind its rows: (x, targets, options, scale, keep, loss, grad).
    They are not checked: see `run` for what must hold of them. A caller that has made sure of it,
    as `fastloss` has, saves the microseconds that checking takes.
    """
    parts = kernel.parts
    found = _launch(parts, select_part(parts, arguments[0], arguments[-2]), arguments)
    if found == NOT_DIRECT:
        found = _launch(parts, parts.packed, arguments)
    return None if parts.check is None else found


class _Local(threading.local):
    alone = False


_local = _Local()


@contextmanager
def single_threaded() -> Iterator[None]:
    """Run what this thread launches on this thread alone, with the same bits.

    For callers that share the cores otherwise: by threads of their own, each with a kernel, or with
    another library, as BLAS, whose threads wait in busy loops and would keep ours from the cores
    for milliseconds.
    """
    before, _local.alone = _local.alone, True
    try:
        yield
    finally:
        _local.alone = before


def launch_activation(kernel: Any, x: Any, values: Any, out: Any) -> None:
    """Run a kernel without targets as `launch` does; `values` has room for a number of each row."""
    launch(kernel, x, NO_TARGETS, (), SCALE_ONE, KEEP_ALL, values, out)


def _launch(parts: Parts, part: Any, arguments: tuple[Any, ...]) -> Any:
    """Run a part on all rows; return what it found."""
    if arguments[0].size < tuning.PARALLEL or _local.alone:
        return _alone(part, arguments)
    threads = _threads()
    if threads == 1:
        return _alone(part, arguments)
    if _shared_layer:
        return _parallel(parts, part, arguments)(threads, arguments)
    if not _gate.acquire(blocking=False):
        return _alone(part, arguments)
    try:
        return _first_launch(parts, part, arguments, threads)
    finally:
        _gate.release()


def _first_launch(parts: Parts, part: Any, arguments: tuple[Any, ...], threads: int) -> Any:
    """Run, and remember which process the layer was started in and whether it may be shared."""
    global _launched_by, _shared_layer
    result = _parallel(parts, part, arguments)(threads, arguments)
    _launched_by = os.getpid()
    _shared_layer = _layer() in ("omp", "tbb")
    return result


def _alone(part: Any, arguments: tuple[Any, ...]) -> Any:
    """Run a part on this thread."""
    x, loss, grad = arguments[0], arguments[-2], arguments[-1]
    try:  # not a function of its own: that would take a fiftieth of the time of a small call
        compiled = _entries[part, x.dtype, None if grad is None else grad.dtype]
    except KeyError:
        compiled = entry(part, arguments)
    return compiled(0, loss.size, *arguments)


def entry(part: Any, arguments: tuple[Any, ...]) -> Any:
    """Return the compiled form of a part for arguments of these types.

    It is called with the first and the last row in front.
    """
    kinds = (nb.intp, nb.intp, *signature(arguments))
    return _entries.setdefault(_key(part, arguments), _compiled(part, kinds))


def _parallel(parts: Parts, part: Any, arguments: tuple[Any, ...]) -> Any:
    """Return the parallel loop that calls a part, for arguments of these types.

    It is called with the number of threads and the tuple of arguments.
    """
    key = _key(part, arguments)
    try:
        return _loops[key]
    except KeyError:
        kinds = signature(arguments)
        places = [_address(called, (nb.intp, nb.intp, *kinds)) for called in (parts.check, part)]
        loop = _compiled(parts.loop, (nb.intp, nb.intp, nb.intp, nb.Tuple(kinds)))
        return _loops.setdefault(key, partial(loop, *places))


def _key(part: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    x, grad = arguments[0], arguments[-1]
    return part, x.dtype, None if grad is None else grad.dtype


def _compiled(dispatcher: Any, kinds: tuple[Any, ...]) -> Any:
    if not hasattr(dispatcher, "compile"):  # NUMBA_DISABLE_JIT
        return dispatcher
    dispatcher.compile(kinds)
    return dispatcher.overloads[kinds].entry_point


def _address(part: Any, kinds: tuple[Any, ...]) -> Any:
    """Return the address of a part, 0 for None; in plain Python the part stands for it."""
    if part is None:
        return 0
    return address(part, kinds) if hasattr(part, "compile") else part
