"""Faults of the cache on disk, beyond `test_disk_cache`: always the right code, never a crash.

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
from fastloss_kernels.compiler.jit import cached
from fastloss_kernels.loops.kernel import kernel
from fastloss_kernels.tiny_helper import answer

@cached
def tiny_part(first, last, x, targets, options, scale, keep, loss, grad):
    loss[0] = answer(x[0, 0, 0])
    return -1

@kernel(tiny_part, tiny_part, tiny_part)
def tiny(x, targets, scale, keep, loss, grad, threads):
    pass

@cached
def twin_part(first, last, x, targets, options, scale, keep, loss, grad):
    loss[0] = -answer(x[0, 0, 0])
    return -1

@kernel(twin_part, twin_part, twin_part)
def twin(x, targets, scale, keep, loss, grad, threads):
    pass
"""
HELPER = """
from fastloss_kernels.compiler.jit import block

@block
def answer(x):
    return 2.0 * x + 40.0
"""
CALL = """
import numpy as np
from fastloss_kernels import run, tiny

def call(dtype="float64", name="tiny"):
    kernel, loss = getattr(tiny, name), np.zeros(1, dtype)
    x = np.ones((1, 1, 1), dtype)
    run(kernel, x, x, np.ones(1), np.ones(1, bool), loss, None)
    stats = kernel.parts.rows.stats
    return f"{loss[0]} {sum(stats.cache_hits.values())} {sum(stats.cache_misses.values())}"
"""
PROGRAM = CALL + "print(call())"
COMPILED, LOADED = "42.0 0 1\n", "42.0 1 0\n"
# Many faults, one process: each time the module is new, and asks the cache anew.
MANY = (
    CALL
    + """
import importlib, pathlib, sys
path = pathlib.Path(sys.argv[1])
good = path.read_bytes()
for fault in {faults}:
    path.write_bytes(fault)
    importlib.reload(tiny)
    assert call() == "42.0 0 1", fault
    assert path.read_bytes() != fault  # what was compiled replaces it
print("right")
"""
)


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


def start(site, program=PROGRAM, *arguments, **settings):
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program, *map(str, arguments)],
        env={**environment, "PYTHONPATH": str(site.parent), **settings},
        cwd=site.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(site, program=PROGRAM, *arguments, **settings):
    """Return what a process prints that asks for the kernel: the loss, cache hits and misses."""
    with start(site, program, *arguments, **settings) as process:
        out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors[-2000:]
    assert not errors
    return out


def cached(site, name="tiny"):
    """Return the files in which the machine code of a kernel is."""
    return sorted((site / "__pycache__").glob(f"tiny.{name}_part*.nb?"))


def empty(path):
    path.write_bytes(b"")


def half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def zeroed(path):
    path.write_bytes(bytes(path.stat().st_size))


def other(path):
    path.write_bytes(b"PK\x03\x04" + bytes(range(256)) * 8)


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


@pytest.mark.parametrize(
    "fault",
    [directory, *(pytest.param(f, marks=ALSO) for f in (empty, half, zeroed, other, nowhere))],
    ids=lambda fault: fault.__name__,
)
def test_a_file_that_is_not_what_was_written(filled, tmp_path, fault):
    site = shutil.copytree(filled, tmp_path / "site" / filled.name)  # times and all
    (path,) = cached(site)
    fault(path)
    assert run(site) == COMPILED
    if fault is directory:
        path.rmdir()
        assert run(site) == COMPILED
    assert run(site) == LOADED


FLIPS = "[good[:k] + bytes([good[k] ^ 1 << k % 8]) + good[k + 1 :] for k in range({})]"
CUTS = "[good[:k] for k in (0, 1, 31, 32, 33, *range(40, len(good), {}), len(good) - 1)]"


@pytest.mark.parametrize(
    "faults",
    [
        FLIPS.format("0, len(good), 4999"),
        CUTS.format(9001),
        pytest.param(FLIPS.format("11, len(good), 301"), marks=ALSO),
        pytest.param(CUTS.format(301), marks=ALSO),
        "[good + b'0', good + good, good[1:]]",
    ],
    ids=["flips", "cuts", "many-flips", "many-cuts", "longer"],
)
def test_no_byte_may_be_another(filled, tmp_path, faults):
    site = shutil.copytree(filled, tmp_path / "site" / filled.name)
    (path,) = cached(site)
    assert run(site, MANY.replace("{faults}", faults), path) == "right\n"
    assert run(site) == LOADED


BOTH = CALL + "print(call('float32'), call('float64'))"  # the numbers are those of both calls


@pytest.mark.parametrize("turn", [1, *(pytest.param(n, marks=ALSO) for n in (2, 3, 4))])
def test_processes_that_compile_different_dtypes_at_once(site, turn):
    """They agree on nothing but the directory: neither may take the other's place."""
    programs = [CALL + f"print(call({dtype!r}))" for dtype in ("float32", "float64")]
    processes = [start(site, program) for program in programs]
    answers = [process.communicate(timeout=300) for process in processes]
    assert answers == [(COMPILED, "")] * 2
    assert run(site, BOTH) == "42.0 1 0 42.0 2 0\n"
    assert len(cached(site)) == 2


@pytest.mark.parametrize(
    "calls",
    ["call('float32'), call('float64')", "call(name='tiny'), call(name='twin')"],
    ids=["dtypes", "kernels"],
)
def test_files_in_each_others_place(site, calls):
    compiled = run(site, f"{CALL}print({calls})")
    files = cached(site, "*")
    assert len(files) == 2
    contents = [path.read_bytes() for path in files]
    assert contents[0] != contents[1]
    for path, content in zip(files, reversed(contents), strict=True):
        path.write_bytes(content)
    assert run(site, f"{CALL}print({calls})") == compiled
    loaded = run(site, f"{CALL}print({calls})")
    assert loaded.split()[::3] == compiled.split()[::3]
    assert loaded.split()[-1] == "0"


def test_an_upgrade_whose_helper_changed(site):
    """Same name, same size, same time, and the files of the older code beside the new."""
    helper = site / "tiny_helper.py"
    times = helper.stat()
    assert run(site) == COMPILED
    old = cached(site)[0].read_bytes()
    helper.write_text(HELPER.replace("40.0", "80.0"))
    os.utime(helper, ns=(times.st_atime_ns, times.st_mtime_ns))
    for compiled in (site / "__pycache__").glob("tiny_helper.*.pyc"):
        compiled.unlink()  # Python itself would not see the change
    assert run(site) == "82.0 0 1\n"
    assert run(site) == "82.0 1 0\n"
    (path,) = cached(site)  # an upgrade takes the place of what it made useless
    path.write_bytes(old)
    assert run(site) == "82.0 0 1\n"


def test_another_processor(site):
    assert run(site) == COMPILED
    assert run(site, NUMBA_CPU_NAME="generic") == COMPILED
    assert run(site) == LOADED
    assert run(site, NUMBA_CPU_NAME="generic") == LOADED
    files = cached(site)
    assert len(files) == 2
    for path in files:  # one of them now has the other's machine code
        path.write_bytes(files[0].read_bytes())
    answers = [run(site), run(site, NUMBA_CPU_NAME="generic")]
    assert sorted(answers) == [COMPILED, LOADED]


def test_neither_installation_nor_home_can_be_written(site, tmp_path):
    """Root may write anywhere, so there are files where the directories would have to be."""
    (site / "__pycache__").write_text("")
    home = tmp_path / "home"
    home.write_text("")
    settings = {"HOME": str(home), "XDG_CACHE_HOME": str(home), "NUMBA_CACHE_DIR": ""}
    assert run(site, **settings) == COMPILED
    assert run(site, **settings) == COMPILED


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
@pytest.mark.parametrize("size", [pytest.param(0, marks=ALSO), 100, 5000])
def test_a_disk_that_is_full(site, size):
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))\n"
    assert run(site, limit + PROGRAM, PYTHONDONTWRITEBYTECODE="1") == COMPILED
    assert not list(site.rglob("*.tmp*"))
    assert run(site) == COMPILED
    assert run(site) == LOADED
