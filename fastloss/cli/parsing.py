"""Conversion of command-line arguments; errors name the option as the user typed it."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from fastloss import losses
from fastloss.loss_base import Loss
from fastloss.out_of_core.npy_files import FileError, Source

CLASS_BY_FUNCTION: dict[str, type[Loss]] = {str(cls().name): cls for cls in losses.CLASSES.values()}


def parse_loss(name: str, **options: Any) -> Loss:
    """Return the loss of a function or class `name`, with the options that are not None."""
    try:
        found = losses.get(name)
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


def read_array(path: Path) -> ArrayLike:
    """Return the whole array of a file."""
    with Source(path, mapped=False) as source:
        return source.read_all()


def parse_number_or_array(text: str) -> ArrayLike:
    """Return a number, or the array of the file with that name."""
    try:
        return float(text)
    except ValueError:
        return read_array(Path(text))


def check_outputs(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Raise FileError for an output that is an input or another output, also through links."""
    others = [(path, "an input") for path in inputs]
    for output in outputs:
        for path, what in others:
            if os.path.realpath(path) == os.path.realpath(output) or (
                path.exists() and output.exists() and path.samefile(output)
            ):
                raise FileError(f"{output}: is also {what}")
        others.append((output, "another output"))
