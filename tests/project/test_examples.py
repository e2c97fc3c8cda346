"""Every example runs, proves its claim and draws; the stored digits are as their README says."""

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
    "boost_breast_cancer.py": ["lightgbm", "sklearn"],
    "evaluate_dask.py": ["dask"],
}
LINES = 120  # of an example, at most
#: Runs an example without the modules named after it; every figure that it shows must hold data.
PROGRAM = """
import runpy, sys
path, *without = sys.argv[1:]
sys.modules |= dict.fromkeys(without)  # any import of them raises ImportError
sys.path.insert(0, path.rpartition("/")[0])
shown = []
if "matplotlib" not in without:
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    plt.show = lambda: shown.extend(axes.has_data() for axes in plt.gcf().axes)
else:
    import importlib.util
    find = importlib.util.find_spec
    importlib.util.find_spec = lambda name: None if name in without else find(name)
runpy.run_path(path, run_name="__main__")
assert "matplotlib" in without or (shown and all(shown)), shown
"""


def run(*arguments: str | Path) -> str:
    """Run Python and return what it printed; a failure shows what it said on stderr."""
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_no_example_is_left_out():
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(NEEDS)


@pytest.mark.parametrize("name", NEEDS)
def test_example_proves_its_claim_and_draws(name):
    missing = [module for module in NEEDS[name] if importlib.util.find_spec(module) is None]
    if missing:
        pytest.skip(f"needs {missing}")
    assert run("-c", PROGRAM, (EXAMPLES / name).as_posix())


@pytest.mark.parametrize("name", NEEDS)
def test_example_is_a_notebook_in_text(name):
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    assert text.startswith('# %% [markdown]\n"""')
    assert text.count("\n# %%\n") >= 3
    assert len(text.splitlines()) <= LINES


@pytest.mark.parametrize("name", [name for name in NEEDS if NEEDS[name]])
def test_a_missing_package_is_one_line(name):
    path, missing = (EXAMPLES / name).as_posix(), NEEDS[name][-1]
    command = [sys.executable, "-c", PROGRAM, path, missing]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert missing in done.stderr
    assert "; install: pip install " in done.stderr


def test_train_digits_runs_with_numpy_alone():
    path = (EXAMPLES / "train_digits.py").as_posix()
    assert "(stored; version" in run("-c", PROGRAM, path, "sklearn", "matplotlib")


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
