"""Blocks that fit into a limit, and the memory of processes that keep one."""

import json
import sys

import numpy as np
import pytest
from processes import environment, run

import fastloss as fl
from fastloss.cli.parsing import parse_bytes
from fastloss.formats import raw_array
from fastloss.formats.registry import open_array
from fastloss.formats.shards import Shards
from fastloss.out_of_core import memory
from fastloss.out_of_core.evaluation import evaluate_in_blocks
from fastloss.out_of_core.memory import MIB, Blocks, fitting_blocks

WANTED = Blocks(1000, 8)
RNG = np.random.default_rng(4)


def fitting(limit, row_bytes=4096, cost=10_000, fixed=100 * MIB, files=2):
    return fitting_blocks(limit, WANTED, row_bytes, cost, fixed, files)


def test_blocks_are_as_wanted_where_they_fit():
    assert fitting(2048 * MIB) == WANTED


def test_blocks_are_smaller_and_then_fewer():
    efficient = memory.EFFICIENT_BYTES // 4096
    found = [fitting(limit * MIB) for limit in range(108, 400, 4)]
    assert [blocks.rows for blocks in found[:1]] < [efficient]
    for blocks in found:
        assert blocks.workers == 1 or blocks.rows >= efficient
    assert found[-1].workers == WANTED.workers
    workers = [blocks.workers for blocks in found]
    assert workers == sorted(workers)


@pytest.mark.parametrize("limit", [110, 150, 300, 1000])
def test_what_is_in_flight_is_within_the_limit(limit):
    blocks = fitting(limit * MIB)
    in_flight = 2 * blocks.workers + 1  # two waiting for each thread, and one that is taken
    pages = 2 * min(raw_array.RELEASE_BYTES, max(MIB, limit * MIB // 32))
    assert 100 * MIB + pages + in_flight * blocks.rows * 10_000 <= limit * MIB


@pytest.mark.parametrize("files", [1, 5])
@pytest.mark.parametrize("fixed", [10, 300, 3000])
def test_the_least_that_is_named_is_enough(files, fixed):
    def fit(limit):
        return fitting(limit, fixed=fixed * MIB, files=files)

    with pytest.raises(ValueError, match=r"max_memory must be at least \d+M here, got 1M") as error:
        fit(MIB)
    least = int(str(error.value).split("least ")[1].split("M")[0])
    assert fit(least * MIB).rows >= 1
    with pytest.raises(ValueError, match="at least"):
        fit(int(least * 0.9 - 16) * MIB)


def test_readers_keep_fewer_pages(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", np.arange(20_000.0))
    given_back = []
    real = raw_array.mmap.mmap

    class Counted(real):
        def madvise(self, advice):
            given_back.append(advice)
            return super().madvise(advice)

    monkeypatch.setattr(raw_array.mmap, "mmap", Counted)
    with Shards([open_array(str(tmp_path / "a.npy"))]) as reader:
        reader.keep_pages(40_000)
        for start in range(0, 20_000, 1000):
            part = reader[(slice(start, start + 1000),)]
            np.testing.assert_array_equal(part, np.arange(start, start + 1000.0))
    assert len(given_back) == 3  # after each 5 of 20 blocks of 8,000 bytes, if one more comes


def test_dense_targets_are_read_in_blocks_alone():
    class Watched:
        """An array that remembers how many elements it was asked for at once."""

        def __init__(self, array):
            self.array, self.shape, self.dtype, self.most, self.all = (
                array,
                array.shape,
                array.dtype,
                0,
                0,
            )

        def __getitem__(self, chunk):
            part = self.array[chunk]
            self.most, self.all = max(self.most, part.size), self.all + part.size
            return part

    y_true, y_pred = RNG.random((100, 3)), RNG.random((100, 3))
    watched = Watched(y_true)
    found = evaluate_in_blocks(fl.BinaryCrossentropy(), watched, y_pred, block_rows=10)
    assert found.value == pytest.approx(float(fl.BinaryCrossentropy()(y_true, y_pred)), rel=1e-12)
    assert watched.most == 30
    assert watched.all == 300 + 3  # and the row that loads the kernels


SCRIPT = """
import sys
from fastloss.cli.main import main
try:
    main()
finally:
    status = open("/proc/self/status").read()
    print(status.split("VmHWM:")[1].split()[0], file=sys.stderr)
"""


def evaluated(folder, *more):
    """Return exit code, last lines of stderr and peak of memory in MiB of an evaluation."""
    import subprocess

    names = [str(folder / name) for name in ("x.npy", "y.npy")]
    loss = ["--loss", "sparse_categorical_crossentropy", "--from-logits", "--quiet", "--json"]
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, "evaluate", *names, *loss, *more],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    *lines, peak = result.stderr.splitlines()
    return result, lines, int(peak) / 1024


@pytest.fixture(scope="module")
def sparse_files(tmp_path_factory):
    """Return the folder of files of 600 MB that take no room on a disk, with kernels compiled."""
    folder = tmp_path_factory.mktemp("sparse")
    for name, shape, dtype in (("x", (150_000, 1000), "f4"), ("y", (150_000,), "i8")):
        np.lib.format.open_memmap(folder / f"{name}.npy", "w+", dtype, shape)
    small = np.zeros((8, 1000), np.float32)
    loss = fl.SparseCategoricalCrossentropy(from_logits=True)
    evaluate_in_blocks(loss, np.zeros(8, int), small)
    return folder


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("more", [(), ("--no-mmap",)], ids=str)
def test_a_process_stays_below_its_limit(sparse_files, more):
    refused, (line,), _ = evaluated(sparse_files, *more, "--max-memory", "20M")
    assert refused.returncode == 2
    assert line.startswith("fastloss: error: max_memory must be at least ")
    least = int(line.split("least ")[1].split("M")[0])
    for limit in (least + 8, 2 * least):
        result, _, peak = evaluated(sparse_files, *more, "--max-memory", f"{limit}M")
        assert result.returncode == 0, result.stderr
        assert peak < limit
        assert json.loads(result.stdout)["value"] == pytest.approx(np.log(1000), rel=1e-6)


def test_the_peak_is_that_of_this_process():
    code = """
    import numpy as np
    from fastloss.out_of_core.memory import peak_bytes
    before = peak_bytes()
    np.ones(30_000_000)
    print(before, peak_bytes())
    """
    before, after = map(int, run(code).split())
    assert before < 400 * MIB
    assert 200 * MIB < after - before < 300 * MIB


def test_sizes():
    sizes = {"1": 1, "2k": 2048, "1.5G": 3 << 29, "10MiB": 10 << 20, "1TB": 1 << 40}
    assert {text: parse_bytes(text) for text in sizes} == sizes


@pytest.mark.parametrize("text", ["", "M", "-1M", "1.5.2G", "512 Mega", "inf", "1e9", "1X"])
def test_sizes_that_are_none(text):
    with pytest.raises(ValueError, match="--max-memory must be a number with K, M or G"):
        parse_bytes(text)
