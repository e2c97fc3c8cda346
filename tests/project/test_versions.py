"""What `make test-oldest` installs are the lower bounds that pyproject.toml promises."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def requirements(lines):
    """Return {name: {operator: version}} of requirements such as "numba>=0.67.0,<0.69"."""
    found = {}
    for line in lines:
        name, specifiers = re.fullmatch(r"([\w-]+)(.*)", line).groups()
        pairs = [re.fullmatch(r"(\W+)([\d.]+)", part).groups() for part in specifiers.split(",")]
        found[name] = dict(pairs)
    return found


@pytest.fixture(scope="module")
def pyproject():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_oldest_versions_are_the_lower_bounds(pyproject):
    promised = requirements(pyproject["project"]["dependencies"])
    tested = requirements(pyproject["dependency-groups"]["oldest"])
    assert tested == {name: {"==": bounds[">="]} for name, bounds in promised.items()}


def test_numba_is_capped(pyproject):
    """The engine's `compiler` uses inner parts of Numba, which any minor version may change."""
    bounds = requirements(pyproject["project"]["dependencies"])["numba"]
    assert set(bounds) == {">=", "<"}
    assert bounds["<"].count(".") == 1  # a minor version
