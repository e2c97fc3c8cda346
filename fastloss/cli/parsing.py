"""What was typed becomes what the package takes; what cannot be is refused in a user's words."""

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

CLASSES: dict[str, type[Loss]] = {str(cls().name): cls for cls in losses.CLASSES.values()}


def loss(name: str, **options: Any) -> Loss:
    """Return the loss called `name`, with those options that are not None."""
    try:
        found = losses.get(name)
    except ValueError:
        raise ValueError(f"--loss must be one of {', '.join(CLASSES)}, got {name!r}") from None
    cls = type(found) if isinstance(found, Loss) else CLASSES[getattr(found, "__name__", "")]
    given = {option: value for option, value in options.items() if value is not None}
    for option in given:
        if option not in inspect.signature(cls).parameters:
            raise ValueError(f"{name} takes no --{option.replace('_', '-')}")
    instance: Loss = cls(**given)
    return instance


def axis(text: str) -> int | tuple[int, ...]:
    """Return one axis, or some that are separated by commas."""
    try:
        axes = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"--axis must be an integer, or some as in 1,2, got {text!r}") from None
    return axes if len(axes) > 1 else axes[0]


def small_array(path: Path) -> ArrayLike:
    """Return what a file holds, whole."""
    with Source(path, mapped=False) as source:
        return source.read()


def number_or_array(text: str) -> ArrayLike:
    """Return a number, or what the file of that name holds."""
    try:
        return float(text)
    except ValueError:
        return small_array(Path(text))


def check_outputs(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Refuse an output that is an input or another output, links looked through."""
    others = [(path, "an input") for path in inputs]
    for output in outputs:
        for path, what in others:
            if os.path.realpath(path) == os.path.realpath(output) or (
                path.exists() and output.exists() and path.samefile(output)
            ):
                raise FileError(f"{output}: is also {what}")
        others.append((output, "another output"))
