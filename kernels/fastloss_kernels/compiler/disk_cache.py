"""Disk cache of compiled kernels: a damaged, misplaced or outdated file is never run.

There is one file for each kernel, signature and processor. (Numba's own cache numbers its files in
an index, which two processes that compile at the same time overwrite.) A kernel without a file is
sought in bundles of prebuilt machine code for the level of this processor, and compiled if it is in
none. Of processes that start together one compiles a kernel; the others wait, and load it.
"""

import contextlib
import hashlib
import logging
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numba
from fastloss_kernels.compiler import cache_files, pickled
from numba import types
from numba.core.registry import cpu_target

# Relies on `initialize` to give LLVM the addresses of Numba's memory functions, without which
# linking ends the process.
from numba.core.runtime.nrt import rtsys

log = logging.getLogger("fastloss")
WAIT = 2.0
"""Seconds of compiling after which a warning says how to avoid them."""

_V3 = ["avx", "avx2", "bmi", "bmi2", "cx16", "f16c", "fma", "lzcnt", "movbe"]
_V3 += ["popcnt", "sahf", "sse4.2"]
LEVELS: dict[str, list[str]] = {
    "x86-64-v4": [*_V3, "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"],
    "x86-64-v3": _V3,
}
"""Level of processors -> the features that it asks for; the best one first."""
LEVEL_FEATURES = "+f16c"
"""What LLVM is told beside the level's name: rounding to float16 asks whether it is there."""


def targets(codegen: Any) -> Iterator[tuple[str, str, str]]:
    """Yield what code may be compiled for to run here: this processor, then its levels.

    Whoever has named another processor by `NUMBA_CPU_NAME` gets code for that.
    """
    triple, name, features = codegen.magic_tuple()
    yield triple, name, features
    if numba.config.CPU_NAME is None:  # type: ignore[attr-defined]
        present = set(features.split(","))
        for level, needed in LEVELS.items():
            if triple.startswith("x86_64") and present.issuperset(f"+{one}" for one in needed):
                yield triple, level, LEVEL_FEATURES


class KernelCache:
    """The files of one function, in the protocol that Numba's dispatchers follow.

    Relies on a dispatcher to call `load_overload`, `save_overload` and `flush` of its `_cache`, and
    to read `cache_path`; otherwise nothing would be cached, or an AttributeError.
    """

    def __init__(self, function: Any, *, inlined: bool) -> None:
        """Make the cache of a Python function; `inlined` if other compiled code links it."""
        self._name = f"{function.__module__}.{function.__qualname__}"
        self._module, self._inlined = function.__module__, inlined
        self._waiting = contextlib.ExitStack()  # holds the lock between loading and saving
        self._missed = False

    @property
    def directories(self) -> list[Path]:
        """Where files may be kept."""
        return cache_files.directories(Path(str(sys.modules[self._module].__file__)))

    @property
    def cache_path(self) -> str | None:
        """Where files are written, None if nowhere."""
        path = cache_files.writable_directory(tuple(self.directories))
        return None if path is None else str(path)

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """Return the compiled code for a signature, or None: then it is compiled next.

        Numba's own would first load everything that compiling needs. Finished machine code needs
        none of that but the memory functions of Numba's run time.
        """
        rtsys.initialize(target_context)
        found = self._found(signature, target_context)
        if found is None:
            path = self._path(signature, target_context.codegen())
            self._waiting.enter_context(cache_files.locked(path and path.with_suffix(".lock")))
            found = self._found(signature, target_context)  # another process may have been first
            if found is None:
                self._missed = True
                log.info("compiling %s (once on this machine) ...", self._described(signature))
            else:
                self._release()
        return found

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Save the compiled code if the disk allows it."""
        path = self._path(signature, compiled.codegen)
        # Relies on this flag: addresses in the code would not outlast the process.
        if path is not None and not compiled.library.has_dynamic_globals:
            _, key = self._entry(signature, compiled.codegen.magic_tuple())
            body = pickled.dumped(compiled, self._inlined)
            with contextlib.suppress(OSError):
                cache_files.replace(path, cache_files.sealed(key, body))

    def file(self, signature: Any) -> tuple[str, bytes] | None:
        """Return name and content of what is kept for a signature and this processor."""
        target = next(targets(cpu_target.target_context.codegen()))
        name, key = self._entry(signature, target)
        intact = (c for c in self._contents(name, True) if cache_files.unsealed(key, c) is not None)
        content = next(intact, None)
        return None if content is None else (name, content)

    @contextlib.contextmanager
    def compiling(self) -> Iterator[None]:
        """Release the lock at the end; if it took long, log once how to compile ahead of time.

        The caller holds Numba's compiler lock: threads share the state of this object.
        """
        began = time.monotonic()
        try:
            yield
        finally:
            waited, missed = time.monotonic() - began, self._missed
            self._release()
            if missed and waited > WAIT:
                _advise(round(waited))

    def _release(self) -> None:
        self._waiting.close()
        self._missed = False

    def flush(self) -> None:
        """Remove every file of this function, as far as the disk allows it."""
        for directory in self.directories:
            for path in directory.glob(f"{self._name}.*.nbc"):
                with contextlib.suppress(OSError):
                    path.unlink()

    def _found(self, signature: Any, target_context: Any) -> Any:
        """Return what is kept of a signature, for the best target that anything is kept of."""
        for number, target in enumerate(targets(target_context.codegen())):
            name, key = self._entry(signature, target)
            for content in self._contents(name, number == 0):
                with contextlib.suppress(Exception):  # it refers to what is no longer installed
                    body = cache_files.unsealed(key, content)
                    if body is not None:
                        return pickled.loaded(target_context, body)
        return None

    def _contents(self, name: str, in_files: bool) -> Iterator[bytes]:
        """Yield what has this name: first in files, for they are for this very processor."""
        if in_files:
            for directory in cache_files.readable_directories(tuple(self.directories)):
                with contextlib.suppress(OSError):
                    yield (directory / name).read_bytes()
        yield from cache_files.bundled(name)

    def _path(self, signature: Any, codegen: Any) -> Path | None:
        name, _ = self._entry(signature, codegen.magic_tuple())
        return None if self.cache_path is None else Path(self.cache_path, name)

    def _entry(self, signature: Any, target: tuple[str, str, str]) -> tuple[str, bytes]:
        """Return the name of the file for a signature and target, and the key of its seal.

        What an upgrade changes is in the key, not in the name: the new code replaces the old. Two
        types of Numba are equal if they print alike.
        """
        kept = repr((signature, target, sys.implementation.cache_tag))
        name = f"{self._name}.{hashlib.sha256(kept.encode()).hexdigest()[:16]}.nbc"
        key = (name, kept, _sources(), _source_of(self._module), numba.__version__)
        return name, repr(key).encode()

    def _described(self, signature: Any) -> str:
        """Return the function and the dtype of its first array, for people."""
        arrays = [kind for kind in signature if isinstance(kind, types.Array)]
        name = self._name.removeprefix("fastloss_kernels.").removeprefix("losses.")
        return f"{name}, {arrays[0].dtype}" if arrays else name


_advised: list[int] = []


def _advise(seconds: int) -> None:
    """Log, once a process, how to compile ahead of time."""
    if _advised:
        return
    _advised.append(seconds)
    log.warning(
        "compiling took %d s; each kind of call (loss, dtype, with or without gradient) is compiled"
        " once on this machine, and `fastloss warmup` does it ahead of time",
        seconds,
    )


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

    After an upgrade that changed a helper alone, the old machine code must not run.
    """
    root, digest = cache_files.ROOT, hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()
