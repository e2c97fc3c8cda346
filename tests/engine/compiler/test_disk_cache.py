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
x, loss = np.full((2, 3, 1), 0.5), np.empty(2)
fk.run(fk.poisson, x, x, 1e-7, np.ones(1), np.ones(1, bool), loss, None)
serial = fk.poisson.parts.rows
print(loss[0], sum(serial.stats.cache_hits.values()), sum(serial.stats.cache_misses.values()))
"""


@pytest.fixture
def package(tmp_path):
    """Return a copy of the engine that a test may change."""
    source = Path(fastloss_kernels.__file__).parent
    return shutil.copytree(
        source, tmp_path / "site" / source.name, ignore=shutil.ignore_patterns("__pycache__")
    )


def started(package, program, *arguments, **settings):
    """Return what a program prints in a new process that imports the copy."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *arguments],
        env={**os.environ, "PYTHONPATH": str(package.parent), **settings},
        capture_output=True,
        text=True,
        check=False,
        cwd=package.parent,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def run(package, cache):
    """Run the program in a new process; return (loss, cache hits, cache misses)."""
    loss, hits, misses = started(package, PROGRAM, NUMBA_CACHE_DIR=str(cache)).split()
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


FOLDERS = ["", *["losses", "loops", "reductions", "memory", "elementary", "simd", "compiler"]]
KEYS = """
import pathlib, sys
from fastloss_kernels.compiler import disk_cache
keys = [disk_cache._sources()]
for folder in sys.argv[1:]:
    path = sorted((pathlib.Path(disk_cache.__file__).parents[1] / folder).glob("*.py"))[0]
    path.write_bytes(path.read_bytes() + b"# one more line")
    disk_cache._sources.cache_clear()
    keys.append(disk_cache._sources())
print(len(keys), len(set(keys)))
"""


def test_an_edited_file_in_any_folder_changes_the_key(package):
    assert started(package, KEYS, *FOLDERS).split() == ["9", "9"]


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


FIRST = """
import logging, sys
import numpy as np
import fastloss_kernels as fk
from numba import njit

said = []
handler = logging.Handler()
handler.emit = lambda record: said.append(record.getMessage())
logging.getLogger("fastloss").addHandler(handler)
logging.getLogger("fastloss").setLevel(logging.INFO)

@njit
def own(x, loss, grad):
    return fk.poisson(x, x, 1e-7, np.ones(1), np.ones(1, np.bool_), loss, grad, 1)

x = np.full((2, 3, 1), 0.5)
own(x, np.empty(2), np.empty_like(x))
print([line for line in said if "poisson.poisson" not in line])
"""


def test_after_the_first_process_compiled_code_compiles_only_the_call(package, tmp_path):
    cache = str(tmp_path / "cache")
    assert "compiling poisson.rows, float64" in started(package, FIRST, NUMBA_CACHE_DIR=cache)
    assert started(package, FIRST, NUMBA_CACHE_DIR=cache) == "[]\n"
