"""Faults of the cache on disk, beyond `test_disk_cache`: always the right code, never a crash.

Each case is a process that asks a copy of the engine for a small kernel.
"""

import os
import shutil
import subprocess
import sys

import pytest
from tiny_kernel import CALL, COMPILED, HELPER, LOADED, PROGRAM, cached, install, run, start

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


@pytest.fixture
def site(tmp_path):
    return install(tmp_path)


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
    assert sorted(out for out, _ in answers) == [COMPILED, LOADED]  # the second waited
    return site


def test_processes_that_compile_at_once_leave_a_good_cache(filled):
    assert run(filled) == LOADED
    assert not list(filled.rglob("*.tmp*"))
    assert not list(filled.rglob("*.lock"))


HOLD = """
import fcntl, pathlib, sys, time
file = pathlib.Path(sys.argv[1]).open("wb")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such locks")
def test_a_process_that_dies_while_it_compiles_is_not_waited_for(site):
    assert run(site) == COMPILED
    (path,) = cached(site)
    path.unlink()
    with start(site, HOLD, path.with_suffix(".lock")) as holder:
        assert holder.stdout.readline() == "held\n"
        with start(site, CALL + "disk_cache.WAIT = 0.1\nprint(call())") as waiting:
            with pytest.raises(subprocess.TimeoutExpired):
                waiting.wait(timeout=3)
            holder.kill()
            out, errors = waiting.communicate(timeout=300)
    assert out == COMPILED
    assert "fastloss warmup" in errors  # it took so long


DENIED = """
import os
os.access = lambda path, mode: False  # as for another user: root may write anywhere
"""


def test_what_others_keep_is_read(site, tmp_path):
    assert run(site) == COMPILED
    own = str(tmp_path / "own")
    assert run(site, DENIED + PROGRAM, NUMBA_CACHE_DIR=own) == LOADED
    assert not list((tmp_path / "own").rglob("*.nbc"))
    assert run(site, NUMBA_CACHE_DIR=own) == COMPILED  # its own old files are not read


def test_flags_of_python_do_not_evict_each_other(site):
    assert run(site) == COMPILED
    assert run(site, PYTHONOPTIMIZE="2") == LOADED
    assert run(site, PYTHONOPTIMIZE="1") == LOADED


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
