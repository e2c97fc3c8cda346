"""Conversion of command-line arguments; errors name the option as the user typed it."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from fastloss.arguments.layout import Shape
from fastloss.formats.errors import FileError
from fastloss.formats.registry import open_array, split_member
from fastloss.identifiers import CLASSES, get
from fastloss.loss_base import Loss
from fastloss.losses import BinaryCrossentropy, Poisson

LARGEST_OPTION = 1 << 30
"""Bytes of an array that an option reads as a whole."""

CLASS_BY_FUNCTION: dict[str, type[Loss]] = {str(cls().name): cls for cls in CLASSES.values()}


def parse_loss(name: str, **options: Any) -> Loss:
    """Return the loss of a function or class `name`, with the options that are not None."""
    try:
        found = get(name)
    except ValueError:
        raise ValueError(
            f"--loss must be one of {', '.join(CLASS_BY_FUNCTION)}, got {name!r}"
        ) from None
    cls = (
        type(found)
        if isinstance(found, Loss)
        else CLASS_BY_FUNCTION[getattr(found, "__name__", "")]
    )
    given = {option: value for option, value in options.items() if value is not None}
    for option in given:
        if option not in inspect.signature(cls).parameters:
            raise ValueError(f"{name} takes no --{option.replace('_', '-')}")
    instance: Loss = cls(**given)
    return instance


def parse_axis(text: str) -> int | tuple[int, ...]:
    """Return one axis, or several that are separated by commas; "()" is none."""
    if text == "()":
        return ()
    try:
        axes = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"--axis must be an integer, or some as in 1,2, got {text!r}") from None
    return axes if len(axes) > 1 else axes[0]


def parse_top(texts: Iterable[str]) -> tuple[int, ...]:
    """Return numbers of classes in order, from texts that hold one, or some with commas between.

    >>> parse_top(["5", "1,3,5"])
    (1, 3, 5)
    """
    parts = [part.strip() for text in texts for part in text.split(",")]
    wrong = next((p for p in parts if not (p.isascii() and p.isdecimal() and int(p))), None)
    if wrong is not None:
        raise ValueError(f"--top must be whole numbers from 1 up, as 5 or 1,5, got {wrong!r}")
    return tuple(sorted(set(map(int, parts))))


def check_no_more(extra: Sequence[str]) -> None:
    """Raise ValueError for arguments after PREDICTIONS and TARGETS.

    They are what a shell makes of a pattern without quotes.
    """
    if extra:
        raise ValueError(
            f"two files at most go without an option, got also {', '.join(extra[:3])}"
            f"{' ...' if len(extra) > 3 else ''}: put patterns in quotes, as --predictions"
            " 'logits-*.npy' --targets 'labels-*.npy', or repeat the option for each file"
        )


def one_of(name: str, path: str | None, several: list[str] | None) -> list[str]:
    """Return the files that are given either as an argument or by the option --`name`."""
    if path is not None and several:
        raise ValueError(
            f"give {name} as an argument or by --{name}, not by both; put patterns like "
            f"'{name}-*.npy' in quotes"
        )
    if path is None and not several:
        raise ValueError(f"{name} are missing: give PREDICTIONS TARGETS, or --{name}")
    return several or [str(path)]


def read_array(name: str) -> ArrayLike:
    """Return the whole array of a file, which has a number for each class."""
    with open_array(name, mapped=False) as array:
        if array.nbytes > LARGEST_OPTION:
            raise FileError(f"{name}: {array.nbytes:,} bytes are too many for weights of classes")
        return array.read_all()


def parse_number_or_array(text: str) -> ArrayLike:
    """Return a number, or the array of the file with that name."""
    try:
        return float(text)
    except ValueError:
        return read_array(text)


_BYTES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def parse_bytes(text: str) -> int:
    """Return a number of bytes.

    >>> parse_bytes("512M"), parse_bytes("1.5g"), parse_bytes("4096")
    (536870912, 1610612736, 4096)
    """
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([KMGT]?)(?:i?B)?", text, re.IGNORECASE)
    if match is None:
        raise ValueError(f"--max-memory must be a number with K, M or G, as 512M, got {text!r}")
    return int(float(match[1]) * _BYTES[match[2].upper()])


def check_distinct(outputs: Iterable[Path], inputs: Iterable[str]) -> None:
    """Raise FileError for an output that is also an input or another output, perhaps by a link.

    `inputs` are files with or without a member.
    """
    others = [(split_member(name)[0], "an input") for name in inputs]
    for output in outputs:
        for path, what in others:
            if os.path.realpath(path) == os.path.realpath(output) or (
                path.exists() and output.exists() and path.samefile(output)
            ):
                raise FileError(f"{output}: is also {what}")
        others.append((output, "another output"))


def row_for_each_element(criterion: Loss, y_true: Shape, y_pred: Shape) -> Loss:
    """Return the loss for files of these shapes if no axis was given.

    A file of rank 1 is a column: for the losses that are means over elements, each of its elements
    is a row with a loss of its own, where a call of the loss sees a single row.
    """
    column = len(y_pred) == 1 and len(y_true) <= 1
    if column and isinstance(criterion, BinaryCrossentropy | Poisson):
        return replace(criterion, axis=())
    return criterion
