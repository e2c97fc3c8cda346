"""Test a built wheel as a stranger would meet it: in a fresh environment, away from the checkout.

    python tools/check_wheel.py dist/fastloss-0.1.0-py3-none-any.whl

A wheel with prebuilt kernels has to compute every loss without compiling; the other one compiles.
Run it from an environment that holds mypy (`make wheel` does).
"""

import os
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

from fastloss_kernels.compiler.disk_cache import LEVELS

ROOT = Path(__file__).parent.parent
SOURCES = {"fastloss": ROOT / "fastloss", "fastloss_kernels": ROOT / "kernels/fastloss_kernels"}
# What needs no file of the checkout but the tests themselves, and finishes in seconds.
SUBSET = ["support/golden", "support/golden_data.py"]
SUBSET += ["facade/test_errors.py", "facade/test_golden.py", "selfcheck/test_check.py"]

IMPORT = """
import importlib.metadata, pathlib, sys
import fastloss, fastloss_kernels
for package in (fastloss, fastloss_kernels):
    assert pathlib.Path(package.__file__).is_relative_to(sys.prefix), package.__file__
assert fastloss.__version__ == importlib.metadata.version("fastloss")
print("imported", fastloss.__version__, "from the wheel")
"""

FIRST_CALLS = """
import logging, resource, sys
import numpy as np
import fastloss as fl

compiled = []
handler = logging.Handler()
handler.emit = lambda record: compiled.append(record.getMessage())
log = logging.getLogger("fastloss")
log.addHandler(handler)
log.setLevel(logging.INFO)
losses = {loss: [{}] for loss in (fl.poisson, fl.kl_divergence)}
for loss in (fl.binary_crossentropy, fl.categorical_crossentropy,
             fl.sparse_categorical_crossentropy):
    losses[loss] = [{}, {"from_logits": True}]

def seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime

before = seconds()
for loss, options in losses.items():
    for dtype in sys.argv[1:]:
        for shape in ((32, 10), (200, 100), (10, 200)):
            y_pred = np.full(shape, 0.5, dtype)
            y_pred = y_pred.T if shape == (10, 200) else y_pred
            sparse = loss is fl.sparse_categorical_crossentropy
            y_true = np.zeros(len(y_pred), int) if sparse else y_pred
            for option in options:
                loss(y_true, y_pred, **option)
                fl.value_and_grad(loss)(y_true, y_pred, **option)
print(f"first calls of all losses, {' '.join(sys.argv[1:])}: {seconds() - before:.2f} CPU s")
print(*compiled, sep="\\n")
sys.exit(bool(compiled))
"""

TYPED = """
import fastloss as fl

value, grad = fl.BinaryCrossentropy(from_logits=True).value_and_grad([1.0], [0.5])
name: str = fl.__version__
"""


def prebuilt(wheel: Path) -> bool:
    """Return whether a wheel has prebuilt kernels, by the end of its name."""
    return not wheel.name.endswith("-none-any.whl")


def check_contents(wheel: Path) -> None:
    """Fail unless the wheel holds the two packages whole, their py.typed, and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    info = "-".join(wheel.name.split("-")[:2]) + ".dist-info"
    expected = {
        f"{package}/{path.relative_to(source).as_posix()}"
        for package, source in SOURCES.items()
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    metadata = {name for name in names if name.startswith(info + "/")}
    if prebuilt(wheel):
        expected |= {f"fastloss_kernels/prebuilt/{level}.zip" for level in LEVELS}
    if names - metadata != expected:
        raise SystemExit(f"{wheel.name} differs: {sorted((names - metadata) ^ expected)}")
    for needed in ("fastloss/py.typed", "fastloss_kernels/py.typed", f"{info}/licenses/LICENSE"):
        if needed not in names:
            raise SystemExit(f"{wheel.name} lacks {needed}")
    print(f"{wheel.name}: {len(names)} files, whole, nothing else")


def main(wheel: Path) -> None:
    """Check the contents, install into a fresh environment, and use it from an empty folder."""
    check_contents(wheel)
    # NUMBA_* stay: they are a machine's settings. PYTHONPATH could show the checkout.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch) / "work"
        work.mkdir()
        venv.create(Path(scratch) / "env", with_pip=True)
        scripts = Path(scratch) / "env" / ("Scripts" if os.name == "nt" else "bin")
        python = scripts / "python"

        def run(*command: str | Path) -> None:
            subprocess.run(command, cwd=work, env=environment, check=True)

        def pip(*arguments: str | Path) -> None:
            run(python, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments)

        pip("install", "--upgrade", "pip>=25.1")
        pip("install", f"{wheel}[cli]", "--group", f"{ROOT / 'pyproject.toml'}:test")
        run(python, "-c", IMPORT)
        (work / "use.py").write_text(TYPED, encoding="utf-8")
        run(sys.executable, "-m", "mypy", "--strict", "--python-executable", python, "use.py")

        digits = ROOT / "examples/digits"
        files = [digits / "logits.npy", digits / "labels.npy"]
        loss = ["--loss", "sparse_categorical_crossentropy", "--from-logits"]
        run(scripts / "fastloss", "doctor")
        run(scripts / "fastloss", "evaluate", *files, *loss)
        if not prebuilt(wheel):
            return  # the rest would only compile, for minutes, what the tests have compiled
        run(python, "-c", FIRST_CALLS, "float32", "float64", "float16")
        run(scripts / "fastloss", "check", "--json")
        for name in SUBSET:
            source = ROOT / "tests" / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, work / source.name)
        (work / "pytest.ini").write_text(
            "[pytest]\npythonpath = .\nfilterwarnings = error\n", encoding="utf-8"
        )
        run(python, "-m", "pytest", "--import-mode=importlib", ".")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
