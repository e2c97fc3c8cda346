"""Where compiled kernels are kept, and how the content of a file proves what it is.

A file begins with its seal, the SHA-256 of its key and its body. Unpickling or linking a damaged
body would end the process, so the seal is checked first; and as the key is not in the file but
known to the reader, a misplaced file fails like a damaged one. The seal protects from faults, not
from intruders (see SECURITY.md).
"""

import contextlib
import hashlib
import itertools
import os
import tempfile
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numba

# Relies on this helper of Numba's own cache, which knows each system's directory.
from numba.misc.appdirs import AppDirs

_SEAL = hashlib.sha256().digest_size
ROOT = Path(__file__).parents[1]
PREBUILT = "FASTLOSS_PREBUILT"
"""The environment variable that names a directory with bundles."""


def sealed(key: bytes, body: bytes) -> bytes:
    """Return the content of a file."""
    return _seal(key, body) + body


def unsealed(key: bytes, content: bytes) -> memoryview | None:
    """Return the body of a file, None if the file is not what `key` says."""
    view = memoryview(content)
    return view[_SEAL:] if content[:_SEAL] == _seal(key, view[_SEAL:]) else None


def _seal(key: bytes, body: bytes | memoryview) -> bytes:
    digest = hashlib.sha256(hashlib.sha256(key).digest())  # a fixed length before the body
    digest.update(body)
    return digest.digest()


def directories(source: Path) -> list[Path]:
    """Return where the kernels of a source file may be kept, in the order in which they are sought.

    That is `NUMBA_CACHE_DIR`, ``__pycache__`` beside the file (for this package, beside the
    package's `__init__`) and the user's cache directory, which Numba uses likewise.
    """
    home = ROOT if source.is_relative_to(ROOT) else source.parent
    name = f"{home.name}_{hashlib.sha256(str(home).encode()).hexdigest()[:16]}"
    given = str(numba.config.CACHE_DIR)  # type: ignore[attr-defined]
    own = Path(AppDirs(appname="numba", appauthor=False).user_cache_dir)
    found = [Path(given, name)] if given else []
    found.append(home / "__pycache__")
    return [*found, own / name] if own.is_absolute() else found  # without HOME it is "~"


@cache
def writable_directory(candidates: tuple[Path, ...]) -> Path | None:
    """Return the first directory in which a file can be made, which is made itself; or None."""
    for path in candidates:
        with contextlib.suppress(OSError):
            path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path):
                return path
    return None


def readable_directories(candidates: tuple[Path, ...]) -> list[Path]:
    """Return the directory that is written to, and those that only others can write to.

    Other directories that the user can write to are not read: with a new `NUMBA_CACHE_DIR` every
    kernel is compiled again.
    """
    own = writable_directory(candidates)
    return [path for path in candidates if path == own or _of_others(path)]


def _of_others(path: Path) -> bool:
    return path.is_dir() and not os.access(path, os.W_OK)


def replace(path: Path, content: bytes) -> None:
    """Write a file atomically: others see it whole or not at all."""
    unfinished = path.with_name(f"{path.name}.tmp.{os.urandom(8).hex()}")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except BaseException:
        _remove(unfinished)
        raise


def bundle_directories() -> list[Path]:
    """Return where bundles are sought: in this package, and where `FASTLOSS_PREBUILT` says.

    An empty name means nowhere, not even in the package.
    """
    named = os.environ.get(PREBUILT)
    return [] if named == "" else [ROOT / "prebuilt", *([Path(named)] if named else [])]


def bundles_in(directory: Path) -> list[Path]:
    """Return the bundles of a directory: zip archives of cache files."""
    return sorted(directory.glob("*.zip"))


@cache
def _members(bundle: Path) -> frozenset[str]:
    with contextlib.suppress(OSError, zipfile.BadZipFile), zipfile.ZipFile(bundle) as archive:
        return frozenset(archive.namelist())
    return frozenset()


def bundled(name: str) -> Iterator[bytes]:
    """Yield the content of each file of that name in a bundle."""
    for path in itertools.chain.from_iterable(map(bundles_in, bundle_directories())):
        content = None
        if name in _members(path):
            # A damaged archive fails in many ways; the next one may be intact. Each is opened anew,
            # for a forked process would share the position in the file.
            with contextlib.suppress(Exception), zipfile.ZipFile(path) as archive:
                content = archive.read(name)
        if content is not None:
            yield content


@contextlib.contextmanager
def locked(path: Path | None) -> Iterator[None]:
    """Hold the lock file `path` against other processes, where there is a path and such locks.

    The system releases the lock of a process that dies. The file is removed at the end: a process
    that still waits for the removed file, and one that creates it again, may then compile at the
    same time, which only costs time.
    """
    try:
        import fcntl  # not on Windows
    except ImportError:
        path = None
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            if path is not None:
                stack.callback(_remove, path)
                fcntl.flock(stack.enter_context(path.open("wb")), fcntl.LOCK_EX)
        yield


def _remove(path: Path) -> None:
    """Remove a file, if it is there and the disk allows it."""
    with contextlib.suppress(OSError):
        path.unlink()
