"""The error for files, and what turns the errors of other packages into it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

REASON = 160  # characters of a parser's message that are shown: some repeat the file's content


class FileError(ValueError):
    """A file that cannot be read or written as asked; the message begins with its path."""


@contextmanager
def file_errors(path: object, kind: str) -> Iterator[None]:
    """Turn any error of a parser into a FileError that says "not a readable `kind` file".

    A malicious file can raise anything in a parser. Errors of the operating system, as that the
    file does not exist, keep their own words.
    """
    try:
        yield
    except FileError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.strerror:
            raise FileError(f"{path}: {error.strerror}") from None
        lines = str(error).splitlines()
        reason = printable(lines[0][:REASON]) if lines else type(error).__name__
        raise FileError(f"{path}: not a readable {kind} file: {reason}") from None


def printable(text: str) -> str:
    r"""Return text from a file without what a terminal would obey.

    >>> printable("red \x1b[31m")
    'red ?[31m'
    """
    return "".join(char if char.isprintable() else "?" for char in text)
