"""The names of arrays within a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fastloss.formats.errors import FileError, printable


def the_member(path: Path, what: str, member: str | None, names: Sequence[str]) -> str:
    """Return the name of one of the arrays, which `what` calls them: the only one for None."""
    if not names:
        raise FileError(f"{path}: holds no {what}")
    if member is None and len(names) > 1:
        raise FileError(f"{path}: name one of its {what}s, as in {path}:NAME: {listed(names)}")
    name = names[0] if member is None else member
    if names.count(name) != 1:
        many = f"{names.count(name)} {what}s" if name in names else f"no {what}"
        raise FileError(f"{path}: has {many} {name!r}, but {listed(names)}")
    return name


def listed(names: Sequence[str], most: int = 12) -> str:
    """Return names for a message, the first ones of many.

    >>> listed(["a", "b"]), listed("abc", most=2)
    ("'a', 'b'", "'a', 'b' ... (3)")
    """
    shown = ", ".join(repr(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} ... ({len(names)})"


def place_of(path: Path | str, member: str | None) -> str:
    """Return the name of an array in a file; `member` is the file's word, and may hold anything.

    >>> place_of("a.npz", "x"), place_of("a.npy", None)
    ('a.npz:x', 'a.npy')
    """
    return str(path) if member is None else f"{path}:{printable(member)}"
