"""Every example of the guides in docs/ prints what it says, where its packages are installed."""

import doctest
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
NEEDS = {
    "boosting.md": ["lightgbm", "sklearn", "xgboost"],
    "dask.md": ["dask", "distributed"],
    "optimizers.md": ["iminuit", "optimagic", "scipy"],
}


def sessions(guide):
    """Return the Python sessions of a guide, as one: later ones use earlier names."""
    text = (DOCS / guide).read_text(encoding="utf-8")
    return "\n".join(re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL))


def test_no_guide_is_left_out():
    guides = {path.name for path in DOCS.glob("*.md") if ">>>" in sessions(path.name)}
    assert guides == set(NEEDS)


@pytest.mark.parametrize("guide", NEEDS)
def test_guide(guide):
    missing = [module for module in NEEDS[guide] if find_spec(module) is None]
    if missing:
        pytest.skip(f"needs {missing}")
    report = []
    example = doctest.DocTestParser().get_doctest(sessions(guide), {}, guide, None, 0)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    failed, tried = runner.run(example, out=report.append)
    assert failed == 0, "".join(report)
    assert tried > 0
