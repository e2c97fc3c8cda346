"""Disk cache of compiled kernels: a damaged, misplaced or outdated file is never run.

Files are kept where Numba keeps its own (``NUMBA_CACHE_DIR``, ``__pycache__``, the user's cache
directory), one for each kernel, signature and processor. Numba's own cache numbers its files in an
index file: two processes that compile at once overwrite each other's index, after which a signature
may find the code of another. Here a file is named by a hash of what it is for, so there is no
index, and processes that write the same file write the same content.

A file begins with its seal, the SHA-256 of its key and its body. Unpickling or linking a damaged
body would end the process, so the seal is checked first; and as the key is not in the file but
known to the reader, a misplaced file fails like a damaged one. In both cases the kernel is compiled
and the file replaced. The seal protects from faults, not from intruders (see SECURITY.md).
"""

import contextlib
import hashlib
import os
import pickle
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numba

# Relies on the protocol of these two: a dispatcher calls `load_overload` and `save_overload` of its
# `_cache`, whose `_impl` has `reduce`, `rebuild`, `check_cachable`, `filename_base` and `locator`.
# If it changes, loading fails silently and every process compiles (test_cache notices), or saving
# ends the first call with an AttributeError.
from numba.core.caching import CompileResultCacheImpl, FunctionCache

# Relies on `initialize` to give LLVM the addresses of Numba's memory functions, without which
# linking ends the process, and on `dumps` to pickle what `rebuild` takes.
from numba.core.runtime.nrt import rtsys
from numba.core.serialize import dumps

_SEAL = hashlib.sha256().digest_size


class _Stored(CompileResultCacheImpl):
    """What is stored of a compiled kernel.

    An "environment" holds the Python objects that a compiled function refers to; loading one
    imports the function's module. Those of Numba's array functions are empty, and their modules
    import SciPy where it is installed: a quarter of a second for nothing.
    """

    def reduce(self, compiled: Any) -> Any:
        """Return what to pickle: all but Numba's own empty environments."""
        # Relies on `environments` being last, each with `consts` and `globals`; else an exception.
        *parts, environments = super().reduce(compiled)
        kept = (
            e for e in environments if e.consts or not e.globals["__name__"].startswith("numba.")
        )
        return (*parts, tuple(kept))


class KernelCache(FunctionCache):
    """The files of one kernel, in the protocol that Numba's dispatchers follow."""

    _impl_class = _Stored

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        """Return (argument types, processor, name): what tells a function's files apart.

        Numba's own would hash what the function closes over, but compiled functions have no hash
        that lasts. Their sources are in the key of the file instead.
        """
        function = self._py_func
        return sig, codegen.magic_tuple(), (function.__module__, function.__qualname__)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled code for a signature, or None.

        Numba's own would first load everything that compiling needs. Finished machine code needs
        none of that but the memory functions of Numba's run time.
        """
        rtsys.initialize(target_context)
        try:
            path, key = self._entry(sig, target_context.codegen())
            content = memoryview(path.read_bytes())
            if content[:_SEAL] != _seal(key, content[_SEAL:]):
                return None
            return self._impl.rebuild(target_context, pickle.loads(content[_SEAL:]))
        except Exception:  # no file, or an intact one refers to what is no longer installed
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Save the compiled code if the disk allows it."""
        if not self._impl.check_cachable(data):
            return
        path, key = self._entry(sig, data.codegen)
        body = dumps(self._impl.reduce(data))
        with contextlib.suppress(OSError):
            self._impl.locator.ensure_cache_path()
            _replace(path, _seal(key, body) + body)

    def flush(self) -> None:
        """Remove every file of this kernel, as far as the disk allows it."""
        for path in Path(self.cache_path).glob(f"{self._impl.filename_base}.*.nbc"):
            with contextlib.suppress(OSError):
                path.unlink()

    def _entry(self, sig: Any, codegen: Any) -> tuple[Path, bytes]:
        """Return the file for a signature and this processor, and the key its seal must hold.

        What an upgrade changes is in the key, not in the name: the new code replaces the old. Two
        types of Numba are equal if they print alike.
        """
        kinds, target, code = self._index_key(sig, codegen)
        name = hashlib.sha256(repr((kinds, target)).encode()).hexdigest()[:16]
        path = Path(self.cache_path, f"{self._impl.filename_base}.{name}.nbc")
        own_file = self._impl.locator.get_source_stamp()
        sources = _sources(), _source_of(self._py_func.__module__)
        key = (path.name, kinds, target, code, own_file, sources, numba.__version__)
        return path, repr(key).encode()


def _seal(key: bytes, body: bytes | memoryview) -> bytes:
    digest = hashlib.sha256(hashlib.sha256(key).digest())  # a fixed length before the body
    digest.update(body)
    return digest.digest()


def _replace(path: Path, content: bytes) -> None:
    """Write a file atomically: others see it whole or not at all."""
    unfinished = path.with_name(f"{path.name}.tmp.{os.urandom(8).hex()}")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise


@cache
def _source_of(module: str) -> str:
    """Return a hash of a module's file, "" if it has none.

    The code of a part stands in its factory, but what it computes in the module of the loss, which
    may be outside this package.
    """
    path = getattr(sys.modules.get(module), "__file__", None)
    return hashlib.sha256(Path(path).read_bytes()).hexdigest() if path else ""


@cache
def _sources() -> str:
    """Return a hash of every source file of this package and its folders.

    Numba's key covers the file of a kernel, not those of the helpers it calls: after an upgrade
    that changed a helper only, the old machine code would run.
    """
    root, digest = Path(__file__).parents[1], hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()
