"""The cache on disk: used by the next process, never trusted blindly, never in the way."""

import pytest
from tiny_kernel import COMPILED, LOADED, cached, install, run


@pytest.fixture
def site(tmp_path):
    return install(tmp_path)


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


def test_an_edited_file_in_any_folder_changes_the_key(site):
    assert run(site, KEYS, *FOLDERS).split() == ["9", "9"]


def test_a_directory_of_the_users(site, tmp_path):
    cache = tmp_path / "cache"
    assert run(site, NUMBA_CACHE_DIR=str(cache)) == COMPILED
    assert run(site, NUMBA_CACHE_DIR=str(cache)) == LOADED
    assert not cached(site)
    (path,) = cache.rglob("*.nbc")
    path.write_bytes(path.read_bytes()[:40])
    assert run(site, NUMBA_CACHE_DIR=str(cache)) == COMPILED
    assert run(site, NUMBA_CACHE_DIR=str(cache)) == LOADED
    path.write_bytes(b"garbage")
    assert run(site, NUMBA_CACHE_DIR=str(cache)) == COMPILED


def test_no_place_to_write(site, tmp_path):
    (tmp_path / "file").write_text("not a directory")
    assert run(site, NUMBA_CACHE_DIR=str(tmp_path / "file" / "cache")) == COMPILED


FIRST = """
import logging
import numpy as np
from fastloss_kernels import tiny
from numba import njit

said = []
handler = logging.Handler()
handler.emit = lambda record: said.append(record.getMessage())
logging.getLogger("fastloss").addHandler(handler)
logging.getLogger("fastloss").setLevel(logging.INFO)

@njit
def own(x, loss, grad):
    return tiny.tiny(x, x, np.ones(1), np.ones(1, np.bool_), loss, grad, 1)

x = np.full((2, 3, 1), 0.5)
own(x, np.empty(2), np.empty_like(x))
print([line for line in said if "tiny.tiny," not in line])
"""


def test_after_the_first_process_compiled_code_compiles_only_the_call(site):
    assert "compiling tiny.tiny_part, float64" in run(site, FIRST)
    assert run(site, FIRST) == "[]\n"
