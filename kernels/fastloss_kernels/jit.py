"""The only file that knows Numba's options and its cache."""

import contextlib
import hashlib
import types
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numba import config, njit, prange, typeof
from numba import types as nb
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.runtime.nrt import rtsys

from fastloss_kernels.calls import call_part
from fastloss_kernels.fragments import FragmentCompiler

_Decorator = Callable[[Callable[..., Any]], Any]

# Without wrappers a function compiles faster, but only compiled code can call it. No fast-math flag
# anywhere: the order of every sum is ours, and infinities and NaN are legal input.
_INNER: dict[str, Any] = {
    "error_model": "numpy",
    "nogil": True,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "pipeline_class": FragmentCompiler,
}

# A function of a block or an element: always inlined into its caller's machine code.
BLOCK: Any = {**_INNER, "forceinline": True}
block: _Decorator = njit(**BLOCK)

# A function of a block that is compiled once and called: inlined, its code would stand in several
# places of a kernel.
called: _Decorator = njit(**_INNER)

# A loop that takes a block function as an argument. It is inlined as source, so the function is a
# constant there; one that is passed at run time could not be cached.
generic: _Decorator = njit(inline="always")


class _Stored(CompileResultCacheImpl):
    """What is stored of a compiled kernel.

    An "environment" holds the Python objects that a compiled function refers to; to load one is to
    import the function's module. Numba's array functions have empty ones, and their modules import
    SciPy where it is installed: a quarter of a second for nothing.
    """

    def reduce(self, compiled: Any) -> Any:
        """Return what to pickle: all but Numba's own empty environments."""
        *parts, environments = super().reduce(compiled)
        kept = (
            e for e in environments if e.consts or not e.globals["__name__"].startswith("numba.")
        )
        return (*parts, tuple(kept))


class _Cache(FunctionCache):
    """Numba's cache on disk, for which a damaged or unwritable file means: compile."""

    _impl_class = _Stored

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled code for a signature, or None.

        Numba's own would first load all that Numba can compile. Finished machine code refers to
        nothing of that but the memory functions of its run time.
        """
        rtsys.initialize(target_context)
        try:
            with self._guard_against_spurious_io_errors():
                return self._load_overload(sig, target_context)
        except Exception:  # whatever a damaged pickle raises; what is compiled now replaces it
            self._forget()
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Save the compiled code if the disk lets us."""
        try:
            super().save_overload(sig, data)
        except OSError:
            return

    def _forget(self) -> None:
        try:
            self.flush()
        except OSError:
            return


@cache
def _sources() -> types.CellType:
    """Return a closure cell with a hash of every source file of this package.

    Numba keys a cached kernel on the file it stands in, not on the helpers it calls: after an
    upgrade that changed only a helper the old machine code would run.
    """
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return types.CellType(digest.hexdigest())


def _salted(function: Any, name: str) -> types.FunctionType:
    """Return `function` under another name, with one closure cell more: the hash of the sources.

    The contents of closures, and the name, are part of Numba's cache key.
    """
    code = function.__code__
    salted = types.FunctionType(
        code.replace(co_freevars=(*code.co_freevars, "_sources")),
        function.__globals__,
        name,
        closure=(*(function.__closure__ or ()), _sources()),
    )
    salted.__doc__ = function.__doc__
    salted.__qualname__ = name
    salted.__module__ = function.__module__
    return salted


def _compiled(function: types.FunctionType, parallel: bool) -> Any:
    """Return the dispatcher of `function`, cached where there is a place to write to."""
    dispatcher: Any = njit(parallel=parallel, nogil=True, error_model="numpy")(function)
    with contextlib.suppress(RuntimeError):
        dispatcher._cache = _Cache(dispatcher.py_func)
    return dispatcher


def cached(function: Callable[..., Any]) -> Any:
    """Return `function` for one thread: compiled when called, and kept on disk."""
    if config.DISABLE_JIT:  # type: ignore[attr-defined]
        return np.errstate(all="ignore")(function)  # machine arithmetic does not warn
    return _compiled(_salted(function, function.__name__), parallel=False)


part = cached
"""What one thread does with its share of the rows: ``(first, last, *arguments of the kernel)``."""

_parts: dict[Any, Any] = {}  # kernel -> its part


def kernel(part: Any) -> _Decorator:
    """Return the decorator of a kernel that shares its rows between threads, each calling `part`.

    Numba compiles the body of a parallel loop five times over (the loop body and the three wrappers
    around it each hold a copy), which is why the body is but a call: see `calls`. Small work does
    not wait for it: see `entry`.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        if config.DISABLE_JIT:  # type: ignore[attr-defined]
            decorated = cached(function)
        else:
            decorated = _compiled(_salted(function, function.__name__), parallel=True)
        _parts[decorated] = part
        return decorated

    return decorate


@generic
def each_part(part: Any, rows: int, threads: int, arguments: Any) -> None:
    """Call ``part(first, last, *arguments)`` on `rows` split evenly over `threads`."""
    if threads > 1:
        for p in prange(threads):
            call_part(part, p * rows // threads, (p + 1) * rows // threads, arguments)
    else:
        call_part(part, 0, rows, arguments)


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
