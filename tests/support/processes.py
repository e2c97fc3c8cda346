"""Programs in processes of their own: an abort, a hang or a setting of theirs stays with them."""

import os
import subprocess
import sys
import textwrap
from importlib import metadata
from importlib.util import find_spec
from typing import Any

import pytest

TIMEOUT = 900  # seconds after which a program counts as hanging: some compile every kernel


def environment(layer: str = "", **settings: str) -> dict[str, str]:
    """Return the environment of a program that imports what the tests can import."""
    places = [place for place in sys.path if place]
    found = {**os.environ, "PYTHONPATH": os.pathsep.join(places), **settings}
    if layer:
        found["NUMBA_THREADING_LAYER"] = layer
    if layer == "tbb":  # Numba does not look where pip puts the library
        files = metadata.files("tbb") or []
        library = next(str(file.locate()) for file in files if file.name == "libtbb.so.12")
        found["LD_LIBRARY_PATH"] = os.path.dirname(os.path.realpath(library))
    return found


def run(code: str, *options: str, layer: str = "", **settings: str) -> str:
    """Run `code` in a new process, hold it to exit code 0 and return what it prints."""
    result = subprocess.run(
        [sys.executable, *options, "-c", textwrap.dedent(code)],
        env=environment(layer, **settings),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert result.returncode == 0, f"exit code {result.returncode}\n{result.stderr[-3000:]}"
    return result.stdout


def needs(*packages: str) -> pytest.MarkDecorator:
    """Skip a test where a package is not installed, and say so."""
    missing = [package for package in packages if find_spec(package) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def _has_tbb() -> bool:
    try:
        return any(file.name == "libtbb.so.12" for file in metadata.files("tbb") or [])
    except metadata.PackageNotFoundError:
        return False


NO_TBB = pytest.mark.skipif(not _has_tbb(), reason="not installed, or not for this system: tbb")
LAYERS = ("workqueue", "omp", "tbb")


def on_layers(*quick: str, of: tuple[str, ...] = LAYERS) -> pytest.MarkDecorator:
    """Run a test on every threading layer; on those not named, only in `make hardening`."""
    parameters = []
    for layer in of:
        marks = [] if layer in quick else [pytest.mark.hardening]
        parameters.append(pytest.param(layer, marks=[*marks, NO_TBB] if layer == "tbb" else marks))
    return pytest.mark.parametrize("layer", parameters)


def mostly(quick: str, *others: str) -> list[Any]:
    """Return parameters of which `make test` runs the first and `make hardening` the others."""
    return [quick, *(pytest.param(other, marks=pytest.mark.hardening) for other in others)]
