"""Every example of the docstrings prints what it says; public names have one."""

import doctest
import importlib
import inspect
from pathlib import Path

import fastloss_kernels
import pytest

import fastloss

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
