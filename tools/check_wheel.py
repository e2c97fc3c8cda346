"""Test a built wheel as a stranger would meet it: in a fresh environment, away from the checkout.

    python tools/check_wheel.py dist/fastloss-*.whl

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

TYPED = """
import fastloss as fl

value, grad = fl.BinaryCrossentropy(from_logits=True).value_and_grad([1.0], [0.5])
name: str = fl.__version__
"""


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
    if names - metadata != expected:
        raise SystemExit(f"{wheel.name} differs: {sorted((names - metadata) ^ expected)}")
    for needed in ("fastloss/py.typed", "fastloss_kernels/py.typed", f"{info}/licenses/LICENSE"):
        if needed not in names:
            raise SystemExit(f"{wheel.name} lacks {needed}")
    print(f"{wheel.name}: {len(names)} files, both packages whole, nothing else")


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
        run(scripts / "fastloss", "doctor")
        run(scripts / "fastloss", "check")
        files = [digits / "logits.npy", digits / "labels.npy"]
        loss = ["--loss", "sparse_categorical_crossentropy", "--from-logits"]
        run(scripts / "fastloss", "evaluate", *files, *loss)

        for name in SUBSET:
            source = ROOT / "tests" / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, work / source.name)
        (work / "pytest.ini").write_text(
            "[pytest]\npythonpath = .\nfilterwarnings = error\n", encoding="utf-8"
        )
        run(python, "-m", "pytest", "--import-mode=importlib", ".")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
