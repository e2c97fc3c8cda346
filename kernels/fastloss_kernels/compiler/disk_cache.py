"""The cache of compiled kernels on disk: whatever is found there, the right code or none.

It lies where Numba's own lies (``NUMBA_CACHE_DIR``, ``__pycache__``, the user's cache directory),
one file for each kernel, signature and processor. Numba's own keeps a list beside its files, which
numbers them: two processes that compile at once write one list over the other's, after which a
signature may find the code of another. Here the name of a file is a hash of what it is for, so
there is no list, and processes that write the same file write the same content.

A file begins with its seal, the SHA-256 of its key and its body. A damaged body would end the
process when it is unpickled or linked, so the seal is looked at first; and as the key is not in the
file but known to who asks, a file in another's place fails as a damaged one does. Either means:
compile, and replace the file. The seal holds off faults, not intruders (see SECURITY.md).
"""

import contextlib
import hashlib
import os
import pickle
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.runtime.nrt import rtsys
from numba.core.serialize import dumps

_SEAL = hashlib.sha256().digest_size


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


class KernelCache(FunctionCache):
    """The files of one kernel, in the protocol that Numba's dispatchers follow."""

    _impl_class = _Stored

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        """Return (argument types, processor, name): what tells a function's files apart.

        Numba's own would hash what the function closes over. All that is source code of ours, which
        is in the key anyway, and compiled functions among it have no hash that lasts.
        """
        function = self._py_func
        return sig, codegen.magic_tuple(), (function.__module__, function.__qualname__)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled code for a signature, or None.

        Numba's own would first load all that Numba can compile. Finished machine code refers to
        nothing of that but the memory functions of its run time.
        """
        rtsys.initialize(target_context)
        try:
            path, key = self._entry(sig, target_context.codegen())
            content = memoryview(path.read_bytes())
            if content[:_SEAL] != _seal(key, content[_SEAL:]):
                return None
            return self._impl.rebuild(target_context, pickle.loads(content[_SEAL:]))
        except Exception:  # no file; or what a sound one refers to is no longer installed
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Save the compiled code if the disk lets us."""
        if not self._impl.check_cachable(data):
            return
        path, key = self._entry(sig, data.codegen)
        body = dumps(self._impl.reduce(data))
        with contextlib.suppress(OSError):
            self._impl.locator.ensure_cache_path()
            _replace(path, _seal(key, body) + body)

    def flush(self) -> None:
        """Remove every file of this kernel that the disk lets us."""
        for path in Path(self.cache_path).glob(f"{self._impl.filename_base}.*.nbc"):
            with contextlib.suppress(OSError):
                path.unlink()

    def _entry(self, sig: Any, codegen: Any) -> tuple[Path, bytes]:
        """Return the file for a signature and this processor, and the key its seal must hold.

        What an upgrade changes is in the key alone: the new code replaces the old. A type of
        Numba's compares by its name, which is how it prints.
        """
        kinds, target, code = self._index_key(sig, codegen)
        name = hashlib.sha256(repr((kinds, target)).encode()).hexdigest()[:16]
        path = Path(self.cache_path, f"{self._impl.filename_base}.{name}.nbc")
        own_file = self._impl.locator.get_source_stamp()
        key = (path.name, kinds, target, code, own_file, _sources(), numba.__version__)
        return path, repr(key).encode()


def _seal(key: bytes, body: bytes | memoryview) -> bytes:
    digest = hashlib.sha256(
        hashlib.sha256(key).digest()
    )  # of one length, so that body starts there
    digest.update(body)
    return digest.digest()


def _replace(path: Path, content: bytes) -> None:
    """Write a file that others see whole or not at all."""
    unfinished = path.with_name(f"{path.name}.tmp.{os.urandom(8).hex()}")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise


@cache
def _sources() -> str:
    """Return a hash of every source file of this package and its folders.

    Numba keys a cached kernel on the file it stands in, not on the helpers it calls: after an
    upgrade that changed only a helper the old machine code would run.
    """
    root, digest = Path(__file__).parents[1], hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()
