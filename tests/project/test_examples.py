"""Every example runs and proves its claim; the stored digits are what their README says."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
DIGITS = EXAMPLES / "digits"
NEEDS = {
    "train_digits.py": [],
    "newton_digits.py": ["scipy"],
    "fit_poisson.py": ["scipy", "statsmodels"],
    "fit_breast_cancer.py": ["scipy", "sklearn"],
    "softmax_regression.py": ["scipy", "sklearn"],
}


def run(*arguments: str | Path) -> str:
    """Run Python and return what it printed; a failure shows what it said on stderr."""
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_no_example_is_left_out():
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(NEEDS)


@pytest.mark.parametrize("name", NEEDS)
def test_example_proves_its_claim(name):
    missing = [module for module in NEEDS[name] if importlib.util.find_spec(module) is None]
    if missing:
        pytest.skip(f"needs {missing}")
    assert run(EXAMPLES / name)


def test_train_digits_runs_without_scikit_learn():
    path = str(EXAMPLES / "train_digits.py")
    program = f"""
import runpy, sys
sys.modules["sklearn"] = None  # any import of it raises ImportError
sys.path.insert(0, {str(EXAMPLES)!r})
runpy.run_path({path!r}, run_name="__main__")
"""
    assert "(stored; version" in run("-c", program)


def test_digits_are_as_described():
    images, labels, logits = (
        np.load(DIGITS / f"{name}.npy", allow_pickle=False)
        for name in ("images", "labels", "logits")
    )
    assert (images.shape, images.dtype, images.min(), images.max()) == ((1797, 64), "u1", 0, 16)
    assert (labels.shape, labels.dtype) == ((1797,), "u1")
    assert (logits.shape, logits.dtype) == ((1797, 10), "f4")
    assert np.isfinite(logits).all()
    assert set(labels) == set(range(10))
    made = json.loads((DIGITS / "made.json").read_text(encoding="utf-8"))
    accuracy = np.mean(logits.argmax(axis=1) == labels)
    assert accuracy == pytest.approx(made["out-of-fold accuracy"], abs=1e-12)
