"""docs/coming-from/: what other libraries print is what the pages show, where they are installed.

On these pages a `py` fence is code of another library, and the `text` fence after it what it
prints. The code of one page is one program. `pip install --group guides` installs them all.
"""

import contextlib
import io
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[2] / "docs" / "coming-from"
NEEDS = {
    "keras.md": ["jax", "keras"],
    "optax.md": ["jax", "optax"],
    "pytorch.md": ["torch"],
    "scikit-learn.md": ["sklearn"],
}


def programs(page):
    """Return pairs of code and what the page says it prints."""
    text = (PAGES / page).read_text(encoding="utf-8")
    found = re.findall(r"^```py\n(.*?)^```\n\n```text\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(found) == text.count("```py\n") > 0
    return found


def test_no_page_is_left_out():
    assert {path.name for path in PAGES.glob("*.md")} == {*NEEDS, "index.md"}


@pytest.mark.parametrize("page", NEEDS)
def test_other_library(page, monkeypatch):
    found = programs(page)
    missing = [module for module in NEEDS[page] if find_spec(module) is None]
    if missing:
        pytest.skip(f"needs {missing}")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    names = {}
    for code, shown in found:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, page, "exec"), names)
        assert printed.getvalue().split() == shown.split()
