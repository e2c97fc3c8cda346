"""A file that is complete or absent after writing."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO

from fastloss.formats.errors import FileError


class OutputFile:
    """A file that is written as a temporary file beside its path and renamed when complete.

    If the `with` block raises, the temporary file is removed and an older file at the path is
    unchanged. A killed process leaves at most a hidden file `.fastloss-….part`.

    Parameters
    ----------
    path : path
        Where the file shall be. A link stays a link.
    needed : int
        Bytes that the disk must have free at the beginning.
    """

    def __init__(self, path: str | os.PathLike[str], needed: int = 0) -> None:
        # Links to directories stay: on other machines they may lead elsewhere.
        place = os.path.realpath if os.path.islink(path) else os.path.abspath
        self.path = Path(place(path))
        self._needed = needed
        if self.path.exists() and not self.path.is_file():
            raise FileError(f"{path}: not a regular file")
        self.part = self.path.with_name(f".fastloss-{secrets.token_hex(8)}.part")
        """The temporary file."""

    def __enter__(self) -> IO[bytes]:
        with self.errors():
            free = shutil.disk_usage(self.path.parent).free
            if self._needed > free:
                raise FileError(
                    f"{self.path}: needs {self._needed:,} bytes, the disk has {free:,} free"
                )
            self._file = open(self.part, "xb")
        return self._file

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                with self.errors():
                    self._file.flush()
                    os.fsync(self._file.fileno())
                    self._file.close()
                    os.replace(self.part, self.path)
        finally:
            with suppress(OSError):
                self._file.close()
            self.part.unlink(missing_ok=True)

    def errors(self) -> AbstractContextManager[None]:
        """Turn an error of the system into the FileError that says what cannot be written."""
        return write_errors(self.path)


@contextmanager
def write_errors(path: object) -> Iterator[None]:
    """Turn an error of the system into the FileError that `path` cannot be written."""
    try:
        yield
    except OSError as error:
        raise FileError(f"{path}: cannot be written: {error.strerror or error}") from None
