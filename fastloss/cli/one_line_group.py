"""Commands whose usage errors are one line."""

from __future__ import annotations

import sys
from typing import Any

import typer
from typer.core import TyperGroup

_UsageError: Any = typer.BadParameter.__bases__[0]
"""The class of click, or since Typer 0.26 of the click within Typer."""


class OneLineGroup(TyperGroup):
    """A group of commands that prints a usage error as one line on stderr and exits with 2."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run a command and exit."""
        try:
            code = super().main(*args, **options | {"standalone_mode": False})
        except _UsageError as error:
            message = " ".join(error.format_message().split())
            if message:  # without arguments there is none: the help was printed
                where = "fastloss" if error.ctx is None else error.ctx.command_path
                typer.echo(f"fastloss: error: {message.rstrip('.')}; see {where} --help", err=True)
            sys.exit(error.exit_code)
        sys.exit(code)
