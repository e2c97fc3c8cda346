"""Faults of the cache on disk, beyond `test_cache`: always the right code, never a crash.

Each case is a process that asks a copy of the engine for a kernel so small that it compiles in a
fraction of a second. How kernels are cached does not depend on what they compute.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import fastloss_kernels
import pytest

KERNEL = """
from fastloss_kernels.jit import kernel, part
from fastloss_kernels.tiny_helper import answer

@part
def tiny_part(first, last, x, loss, grad):
    loss[0] = answer(x[0, 0, 0])

@kernel(tiny_part)
def tiny(x, loss, grad, threads):
    tiny_part(0, 1, x, loss, grad)
"""
HELPER = """
from fastloss_kernels.jit import block

@block
def answer(x):
    return 2.0 * x + 40.0
"""
PROGRAM = """
import numpy as np
from fastloss_kernels import jit, run
from fastloss_kernels.tiny import tiny
loss = np.zeros(1)
run(tiny, np.ones((1, 1, 1)), loss, None)
stats = jit._parts[tiny].stats
print(loss[0], sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""
COMPILED, LOADED = "42.0 0 1\n", "42.0 1 0\n"


def install(folder):
    """Return an installation of the engine with the small kernel in it."""
    source = Path(fastloss_kernels.__file__).parent
    target = folder / "site" / source.name
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    (target / "tiny.py").write_text(KERNEL)
    (target / "tiny_helper.py").write_text(HELPER)
    return target


@pytest.fixture
def site(tmp_path):
    return install(tmp_path)


def start(site, program=PROGRAM, **settings):
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program],
        env={**environment, "PYTHONPATH": str(site.parent), **settings},
        cwd=site.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(site, program=PROGRAM, **settings):
    """Return what a process prints that asks for the kernel: the loss, cache hits and misses."""
    with start(site, program, **settings) as process:
        out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors[-2000:]
    assert not errors
    return out


def cached(site):
    return sorted((site / "__pycache__").glob("tiny.tiny*.nb?"))


def empty(path):
    path.write_bytes(b"")


def half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def zeroed(path):
    path.write_bytes(bytes(path.stat().st_size))


def other(path):
    path.write_bytes(b"PK\x03\x04" + bytes(range(256)) * 8)


def swapped(path):
    """Put the other file of the pair in its place: a pickle, but of something else."""
    (other,) = (file for file in cached(path.parent.parent) if file.suffix != path.suffix)
    path.write_bytes(other.read_bytes())


def directory(path):
    path.unlink()
    path.mkdir()


def nowhere(path):
    path.unlink()
    path.symlink_to("nothing-is-here")


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """Return an installation whose cache two processes filled that compiled at once."""
    site = install(tmp_path_factory.mktemp("filled"))
    processes = [start(site) for _ in range(2)]
    answers = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], answers
    assert {out for out, _ in answers} <= {COMPILED, LOADED}
    return site


def test_processes_that_compile_at_once_leave_a_good_cache(filled):
    assert run(filled) == LOADED
    assert not list(filled.rglob("*.tmp*"))


ALSO = pytest.mark.hardening


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize(
    "fault",
    [
        swapped,
        directory,
        *(pytest.param(f, marks=ALSO) for f in (empty, half, zeroed, other, nowhere)),
    ],
    ids=lambda fault: fault.__name__,
)
def test_a_file_that_is_not_what_was_written(filled, tmp_path, fault, suffix):
    site = shutil.copytree(filled, tmp_path / "site" / filled.name)  # times and all
    (path,) = (file for file in cached(site) if file.suffix == suffix)
    fault(path)
    assert run(site) == COMPILED
    if fault is directory:
        path.rmdir()
        assert run(site) == COMPILED
    assert run(site) == LOADED


def test_an_upgrade_whose_helper_changed(site):
    """Same name, same size, same time, and the files of the older code beside the new."""
    helper = site / "tiny_helper.py"
    times = helper.stat()
    assert run(site) == COMPILED
    helper.write_text(HELPER.replace("40.0", "80.0"))
    os.utime(helper, ns=(times.st_atime_ns, times.st_mtime_ns))
    for compiled in (site / "__pycache__").glob("tiny_helper.*.pyc"):
        compiled.unlink()  # Python itself would not see the change
    assert run(site) == "82.0 0 1\n"
    assert run(site) == "82.0 1 0\n"


def test_another_processor(site):
    assert run(site) == COMPILED
    assert run(site, NUMBA_CPU_NAME="generic") == COMPILED
    assert run(site) == LOADED


def test_neither_installation_nor_home_can_be_written(site, tmp_path):
    """Root may write anywhere, so there are files where the directories would have to be."""
    (site / "__pycache__").write_text("")
    home = tmp_path / "home"
    home.write_text("")
    settings = {"HOME": str(home), "XDG_CACHE_HOME": str(home), "NUMBA_CACHE_DIR": ""}
    assert run(site, **settings) == COMPILED
    assert run(site, **settings) == COMPILED


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
def test_a_disk_that_is_full(site):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
    assert run(site, limit + PROGRAM, PYTHONDONTWRITEBYTECODE="1") == COMPILED
    assert not list(site.rglob("*.tmp*"))
    assert run(site) == COMPILED
    assert run(site) == LOADED
