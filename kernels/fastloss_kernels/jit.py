"""The only file that knows Numba's options and its cache."""

import hashlib
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit, prange, typeof
from numba import types as nb
from numba.core.caching import FunctionCache

_Decorator = Callable[[Callable[..., Any]], Any]

# Without wrappers a function compiles faster, but only compiled code can call it. No fast-math flag
# anywhere: the order of every sum is ours, and infinities and NaN are legal input.
_INNER: dict[str, Any] = {
    "error_model": "numpy",
    "nogil": True,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}

# A function of a block or an element: always inlined into its caller's machine code.
block: _Decorator = njit(forceinline=True, **_INNER)

# What one thread does with its share of the rows. Compiled once and called: inlined, its code would
# stand in the kernel twice, in the serial loop and in the parallel one.
part: _Decorator = njit(**_INNER)

# A loop that takes a block function as an argument. It is inlined as source, so the function is a
# constant there; one that is passed at run time could not be cached.
generic: _Decorator = njit(inline="always")


class _Cache(FunctionCache):
    """Numba's cache on disk, for which a damaged or unwritable file means: compile."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled code for a signature, or None."""
        try:
            return super().load_overload(sig, target_context)
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


def _fingerprint() -> str:
    """Return a hash of every source file of this package.

    Numba keys a cached kernel on the file it stands in, not on the helpers it calls: after an
    upgrade that changed only a helper the old machine code would run.
    """
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


_SOURCES = types.CellType(_fingerprint())


def _salted(function: Any) -> types.FunctionType:
    """Return `function` with one closure cell more, the hash of the sources.

    The contents of closures are part of Numba's cache key.
    """
    code = function.__code__
    salted = types.FunctionType(
        code.replace(co_freevars=(*code.co_freevars, "_sources")),
        function.__globals__,
        function.__name__,
        closure=(*(function.__closure__ or ()), _SOURCES),
    )
    salted.__doc__ = function.__doc__
    salted.__qualname__ = function.__qualname__
    salted.__module__ = function.__module__
    return salted


def kernel(function: Callable[..., Any]) -> Any:
    """Return `function` as a kernel: serial and parallel loop in one, compiled when called."""
    compiled: Any = njit(parallel=True, nogil=True, error_model="numpy")(_salted(function))
    if hasattr(compiled, "enable_caching"):  # not under NUMBA_DISABLE_JIT
        try:
            compiled._cache = _Cache(compiled.py_func)
        except RuntimeError:  # no place to write to
            return compiled
    return compiled


@generic
def each_part(part: Any, rows: int, threads: int, arguments: Any) -> None:
    """Call ``part(first, last, *arguments)`` on `rows` split evenly over `threads`."""
    if threads > 1:
        for p in prange(threads):
            part(p * rows // threads, (p + 1) * rows // threads, *arguments)
    else:
        part(0, rows, *arguments)


def entry(kernel: Any, arguments: tuple[Any, ...]) -> Any:
    """Return the compiled form of `kernel` that takes arrays of these dtypes, whatever their layout.

    Left to itself Numba compiles a kernel anew for every combination of C, Fortran and other
    layouts, writeable and read-only. Here predictions, targets and gradients have any strides and
    all inputs are read-only, which every array of the right dtype and rank satisfies; kernels find
    out at run time what lies contiguous. The last three arguments are loss, gradient and threads.
    """
    if not hasattr(kernel, "compile"):  # NUMBA_DISABLE_JIT
        return kernel
    signature = []
    for position, argument in enumerate(arguments):
        kind = typeof(argument)
        if isinstance(kind, nb.Array):
            layout = "A" if kind.ndim == 3 else "C"
            output = position >= len(arguments) - 3
            kind = nb.Array(kind.dtype, kind.ndim, layout, readonly=not output)
        signature.append(kind)
    kernel.compile(tuple(signature))
    return kernel.overloads[tuple(signature)].entry_point
