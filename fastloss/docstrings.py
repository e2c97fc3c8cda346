"""Docstrings that say where the reader is what others say: written once, and copied.

In a docstring, "As for `poisson`." stands for what the docstring of `poisson` says in its place: at
the beginning of a paragraph before the sections for the paragraphs after the first, and below names
of parameters for their descriptions.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, TypeVar

_Thing = TypeVar("_Thing", bound=Callable[..., Any])

_HEADING = re.compile(r"\n\n([A-Z][A-Za-z ]+)\n-+\n")
_PARAGRAPH = re.compile(r"^As for `([\w.]+)`\.", re.MULTILINE)
_PARAMETERS = re.compile(r"^(\w+(?:, \w+)*)\n    As for `([\w.]+)`\.$", re.MULTILINE)
_ENTRY = re.compile(r"^(\w+) : .*(?:\n(?:    .*)?)+", re.MULTILINE)
_SUMMARY = ""


def completes_docstring(*sources: Callable[..., Any]) -> Callable[[_Thing], _Thing]:
    """Return a decorator that puts in what the docstrings of `sources` say."""

    def decorated(thing: _Thing) -> _Thing:
        if thing.__doc__:  # not under -OO
            known = {source.__qualname__: _sections(source) for source in sources}
            texts = [_completed(*section, known) for section in _sections(thing).items()]
            thing.__doc__ = "\n\n".join(texts)
        return thing

    return decorated


def _sections(thing: Callable[..., Any]) -> dict[str, str]:
    """Return the text of each section of a docstring by its title, the summary first."""
    summary, *rest = _HEADING.split(inspect.cleandoc(thing.__doc__ or ""))
    return {_SUMMARY: summary, **dict(zip(rest[::2], rest[1::2], strict=True))}


def _completed(title: str, text: str, known: dict[str, dict[str, str]]) -> str:
    def paragraphs(found: re.Match[str]) -> str:
        return known[found[1]][_SUMMARY].partition("\n\n")[2]

    def parameters(found: re.Match[str]) -> str:
        there = known[found[2]]
        entries = {
            entry[1]: entry[0].rstrip()
            for section in (there.get("Parameters", ""), there.get("Other Parameters", ""))
            for entry in _ENTRY.finditer(section)
        }
        return "\n".join(entries[name] for name in found[1].split(", "))

    if title == _SUMMARY:
        return _PARAGRAPH.sub(paragraphs, text)
    return f"{title}\n{'-' * len(title)}\n{_PARAMETERS.sub(parameters, text)}"
