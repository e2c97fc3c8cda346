"""What all commands share: errors of one line, JSON, and two options."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bar.")]


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn an exception for bad input into one line on stderr and exit code 2."""
    try:
        yield
    except BrokenPipeError:  # who reads standard output has read enough
        raise
    except KeyboardInterrupt:
        typer.echo("fastloss: interrupted", err=True)
        raise typer.Exit(130) from None
    except (ValueError, TypeError, OSError, MemoryError, ImportError) as error:
        message = " ".join(str(error).split()) or type(error).__name__
        typer.echo(f"fastloss: error: {message}", err=True)
        raise typer.Exit(2) from None


def print_json(values: dict[str, Any], *, err: bool = False) -> None:
    """Print the values of a result as JSON, on stderr if `err`."""
    typer.echo(json.dumps(_json_value(values), indent=2), err=err)


def _json_value(value: Any) -> Any:
    """Replace numbers that JSON lacks by "NaN", "Infinity" and "-Infinity"."""
    if isinstance(value, dict):
        return {key: _json_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_value(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
