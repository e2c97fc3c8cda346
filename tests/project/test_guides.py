"""Every page in Markdown prints what it says: its Python sessions, and the commands of docs/.

A page is one session from top to bottom, in an empty directory but for examples/digits. Fences say
what is run: `python` holds a session (>>>), `console` commands of ours with what they print;
nothing else is run.
"""

import doctest
import re
import shlex
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fastloss.cli.commands import app

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
PAGES = [
    *ROOT.glob("*.md"),
    *ROOT.glob("kernels/*/*.md"),
    *(path for path in DOCS.rglob("*.md") if "_build" not in path.parts),
]
#: Modules that not every environment of the tests has. A page that imports one needs it.
OPTIONAL = {"iminuit", "lightgbm", "optimagic", "sklearn", "statsmodels", "xgboost"}


def blocks(page):
    """Return the blocks that are run, each with its language."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"^```(python|console)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [(kind, body) for kind, body in found if kind == "python" or DOCS in page.parents]


def missing(page):
    """Return the optional modules that a page imports and this environment lacks."""
    python = "\n".join(body for kind, body in blocks(page) if kind == "python")
    imported = set(
        re.findall(r"^(?:>>>|\.\.\.) +(?:import|from) (\w+)", python, flags=re.MULTILINE)
    )
    return [name for name in sorted(imported & OPTIONAL) if find_spec(name) is None]


def run_python(page, body, names):
    example = doctest.DocTestParser().get_doctest(body, names, str(page), None, 0)
    report = []
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    runner.run(example, out=report.append, clear_globs=False)
    names |= example.globs  # the examples have a copy
    assert not report, "".join(report)


def run_commands(body):
    """Run each command of a console session and compare what it prints."""
    for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", body, re.MULTILINE):
        program, *arguments = shlex.split(command)
        assert program == "fastloss", f"a console block may run fastloss alone, got {command}"
        result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
        failed = shown.startswith("fastloss: error: ")
        assert result.exit_code == (2 if failed else 0), result.output
        found = result.stderr if failed else result.stdout
        assert doctest.OutputChecker().check_output(shown, found, FLAGS), (command, found)


def named(page):
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_example_is_run(page):
    """A prompt outside the fences that are run would not be, nor would a fence without one."""
    text = page.read_text(encoding="utf-8")
    ours = [body for kind, body in blocks(page) if kind == "python"]
    prompts = sum(body.count("\n>>> ") + body.startswith(">>> ") for body in ours)
    assert prompts == len(re.findall(r"^\W*>>> ", text, flags=re.MULTILINE))
    assert all(body.startswith(">>> ") for body in ours)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=named)
def test_page(page, tmp_path, monkeypatch):
    if missing(page):
        pytest.skip(f"needs {missing(page)}")
    shutil.copytree(ROOT / "examples/digits", tmp_path / "examples/digits")
    monkeypatch.chdir(tmp_path)
    names = {}
    for kind, body in blocks(page):
        if kind == "python":
            run_python(page, body, names)
        else:
            run_commands(body)
