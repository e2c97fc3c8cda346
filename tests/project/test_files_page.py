"""docs/files.md: its Python makes the files, its commands print what it shows."""

import doctest
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fastloss.cli.commands import app

PAGE = Path(__file__).parents[2] / "docs" / "files.md"
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
BLOCKS = re.findall(r"^```(python|console)\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)


def commands(text: str) -> list[tuple[str, str]]:
    """Return each command of a console session with what it prints."""
    parts = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.M)
    assert parts
    return parts


def test_everything_on_the_page_is_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tried = 0
    for kind, text in BLOCKS:
        if kind == "python":
            exec(compile(text, str(PAGE), "exec"), {})
            continue
        for command, shown in commands(text):
            program, *arguments = shlex.split(command)
            assert program == "fastloss"
            result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
            failed = shown.startswith("fastloss: error: ")
            assert result.exit_code == (2 if failed else 0), result.output
            found = result.stderr if failed else result.stdout
            assert doctest.OutputChecker().check_output(shown, found, FLAGS), (command, found)
            tried += 1
    assert tried > 9
