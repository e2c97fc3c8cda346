"""The cache on disk: used by the next process, never trusted blindly, never in the way."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import fastloss_kernels
import pytest

PROGRAM = """
import numpy as np
import fastloss_kernels as fk
from fastloss_kernels.compiler import jit
from fastloss_kernels.losses import poisson
x, loss = np.full((2, 3, 1), 0.5), np.empty(2)
fk.run(fk.poisson, x, x, 1e-7, np.ones(1), np.ones(1, bool), loss, None)
serial = jit._parts[poisson.poisson_rows]
print(loss[0], sum(serial.stats.cache_hits.values()), sum(serial.stats.cache_misses.values()))
"""


@pytest.fixture
def package(tmp_path):
    """Return a copy of the engine that a test may change."""
    source = Path(fastloss_kernels.__file__).parent
    return shutil.copytree(
        source, tmp_path / "site" / source.name, ignore=shutil.ignore_patterns("__pycache__")
    )


def run(package, cache):
    """Run the program in a new process; return (loss, cache hits, cache misses)."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(package.parent)}
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=package.parent,
    )
    assert result.returncode == 0, result.stderr
    loss, hits, misses = result.stdout.split()
    return float(loss), int(hits), int(misses)


def test_second_process_reuses_and_changed_helper_does_not(package, tmp_path):
    cache = tmp_path / "cache"
    loss, hits, misses = run(package, cache)
    assert (hits, misses) == (0, 1)
    assert run(package, cache) == (loss, 1, 0)
    helper = package / "elementary/log.py"
    text = helper.read_text()
    helper.write_text(text.replace("+ (u - u))", "+ (u - u) + 1.0)"))
    assert helper.read_text() != text
    changed, hits, misses = run(package, cache)
    assert (hits, misses) == (0, 1)
    assert changed == pytest.approx(loss - 0.5)


def test_damaged_files_mean_compile(package, tmp_path):
    cache = tmp_path / "cache"
    loss, *_ = run(package, cache)
    files = [path for path in cache.rglob("*") if path.suffix in (".nbi", ".nbc")]
    assert files
    for path in files:
        path.write_bytes(path.read_bytes()[:40])
    assert run(package, cache) == (loss, 0, 1)
    assert run(package, cache) == (loss, 1, 0)
    for path in cache.rglob("*.nb?"):
        path.write_bytes(b"garbage")
    assert run(package, cache) == (loss, 0, 1)


def test_no_place_to_write(package, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    loss, hits, _ = run(package, blocked / "cache")
    assert hits == 0
    assert loss > 0
