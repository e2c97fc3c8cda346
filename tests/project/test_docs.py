"""Every example of the README and the docstrings prints what it says; public names have one."""

import doctest
import importlib
import inspect
import re
from pathlib import Path

import fastloss_kernels
import pytest

import fastloss

ROOT = Path(__file__).parents[2]
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def docstring_examples():
    """Yield one DocTest for each docstring of the two packages that holds an example."""
    for package in (fastloss, fastloss_kernels):
        root = Path(package.__file__).parent
        for path in sorted(root.rglob("*.py")):
            parts = path.relative_to(root.parent).with_suffix("").parts
            if parts[-1] != "__main__":
                module = importlib.import_module(".".join(parts).removesuffix(".__init__"))
                yield from doctest.DocTestFinder(exclude_empty=True).find(module)


def readme_example():
    """Return the README's fenced Python sessions as one DocTest: later ones use earlier names."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    sessions = re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    assert sessions, "README.md shows no Python"
    return doctest.DocTestParser().get_doctest("\n".join(sessions), {}, "README.md", None, 0)


def run(example):
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    report: list[str] = []
    failed, tried = runner.run(example, out=report.append)
    assert failed == 0, "".join(report)
    return tried


EXAMPLES = [example for example in docstring_examples() if example.examples]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_docstring_example(example):
    assert run(example) > 0


def test_readme_examples():
    assert run(readme_example()) > 0


PUBLIC = [
    (package.__name__, name)
    for package in (fastloss, fastloss_kernels)
    for name in package.__all__
    if callable(getattr(package, name))
]


@pytest.mark.parametrize(("package", "name"), PUBLIC)
def test_public_name_is_documented(package, name):
    thing = getattr(importlib.import_module(package), name)
    assert inspect.getdoc(thing), f"{name} has no docstring"
    if package == "fastloss" and not inspect.isabstract(thing):
        assert ">>>" in thing.__doc__, f"the docstring of {name} shows no example"
