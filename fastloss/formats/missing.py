"""Packages that a format needs, and the line that says how to install them."""

from __future__ import annotations

import importlib
from types import ModuleType

from fastloss.formats.errors import FileError


def needed(path: object, module: str, extra: str) -> ModuleType:
    """Import `module`; if its package is missing, raise the FileError that names the `extra`."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        package = module.partition(".")[0]
        raise FileError(
            f"{path}: needs the package {package}: pip install {package} (fastloss's extra {extra})"
        ) from None
