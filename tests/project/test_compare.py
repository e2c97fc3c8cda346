"""The comparison with peers: what it times is right, and who takes no part."""

import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numba
import numpy as np
import pytest

from benchmarks import compare, limits, ours, peers, rounds
from benchmarks.cases import CASES
from benchmarks.contest import Call, Mismatch, check_same
from benchmarks.equal import check_threads, processors
from benchmarks.works import Work, works

ROOT = Path(__file__).parents[2]
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
SPARSE, DENSE = CASES[0], CASES[2]


# The limits


@pytest.mark.parametrize(
    ("source", "target"),
    [(np.float32, np.float32), (np.float64, np.float64), (np.int64, np.float32)],
)
def test_copy_copies(source, target):
    numbers = np.arange(1, 1001, dtype=source)
    copied = np.zeros(1000, target)
    limits.copy(numbers, copied)
    np.testing.assert_array_equal(copied, numbers)


def test_add_adds():
    first, second = np.arange(1000.0), np.arange(1000.0)[::-1].copy()
    total = np.zeros(1000)
    limits.add(first, second, total)
    np.testing.assert_array_equal(total, np.full(1000, 999.0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_read_sums_every_word(dtype):
    numbers = np.arange(1, 1002, dtype=dtype)
    words = np.frombuffer(numbers.tobytes(), np.uint32)
    assert limits.read(numbers) == sum(map(int, words))


@pytest.mark.parametrize(
    ("case", "form", "expected"),
    [
        (SPARSE, "value", 10 * 7 * 4 + 10 * 8),  # logits and labels
        (SPARSE, "value_and_grad", 2 * 10 * 7 * 4 + 10 * 8 + 10 * 4),  # gradient and losses too
        (DENSE, "value", 2 * 10 * 7 * 4),
        (DENSE, "value_and_grad", 3 * 10 * 7 * 4),
    ],
)
def test_bytes_that_must_move(case, form, expected):
    data = case.data(10, 7)
    assert limits.moved(form, *data) == expected
    limits.prepare(*data)[form].reused.run()


# Contestants compute the same


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # within the peers
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@every_case
def test_installed_peers_and_fastloss_itself_compute_the_same(case, dtype):
    y_true, y_pred = case.data(40, 7, dtype)
    rows, slopes = case.plain(y_true, y_pred)
    contestants = [*ours.CONTESTANTS, *peers.installed()]
    assert "NumPy/SciPy" in [contestant.name for contestant in contestants]
    for contestant in contestants:
        for form, ways in contestant.prepare(case, y_true, y_pred, 1).items():
            for call in filter(None, ways):
                result = call.read(call.run())
                assert (result[1] is None) == (form == "value")
                check_same(call, rows.mean(), (slopes / len(rows)).astype(dtype))


def test_what_is_not_installed_takes_no_part(monkeypatch):
    monkeypatch.setattr(peers, "find_spec", lambda name: None)
    assert peers.installed() == []


@pytest.mark.parametrize(("dtype", "step"), [(np.float32, 1e-3), (np.float64, 1e-7)])
def test_wrong_numbers_are_a_mismatch(dtype, step):
    ours = np.eye(3, dtype=dtype)
    wrong = [
        (1 + step, ours),
        (float("nan"), ours),
        (1.0, ours * dtype(1 + step)),
        (1.0, ours + dtype(step / 100)),
        (1.0, ours[:2, :2]),
        (1.0, ours.astype(np.float32 if dtype is np.float64 else np.float64)),
    ]
    for result in wrong:
        with pytest.raises(Mismatch):
            check_same(Call(lambda result=result: result), 1.0, ours)
    near = 1 + step / 1000, ours + dtype(step / 10_000)
    check_same(Call(lambda: near), 1.0, ours)


def test_who_computes_something_else_is_left_out_and_named(monkeypatch):
    work = Work("table", SPARSE, 40, 7, "float32")
    wrong = ours.CONTESTANTS[0].__class__(
        **{**vars(ours.CONTESTANTS[0]), "name": "wrong", "prepare": _wrong}
    )
    data = SPARSE.data(40, 7)
    entered, left_out = compare.enter([*ours.CONTESTANTS, wrong], work, *data, run())
    assert "wrong" not in entered
    assert "fastloss" in entered
    assert [entry["contestant"] for entry in left_out] == ["wrong"]
    assert left_out[0]["why"].startswith("Mismatch: value 0")


def run(number=1, keeps=True):
    return compare.Run(rounds.Settings(number, 0.0, threads=1), random.Random(0), keeps)


def _wrong(case, y_true, y_pred, threads):
    call = Call(lambda: (0.0, None))
    return {"value": limits.Ways(call, call)}


# How it is timed


@pytest.mark.parametrize(("rows", "twin"), [(40, "fastloss"), (10_000, "limit")])
def test_a_cell_holds_every_contestant_and_a_control(rows, twin, monkeypatch):
    monkeypatch.setattr(rounds, "REST", 0)
    monkeypatch.setattr(rounds, "LAP", 0)
    asked = []
    monkeypatch.setattr(
        rounds, "controlled", lambda *given: asked.append(given[1]) or controlled(*given)
    )
    work = Work("table", SPARSE, rows, 7, "float32", fresh=True)
    timed, left_out = compare.cells(ours.CONTESTANTS[:1], work, run(number=3))
    assert not left_out
    assert [cell["form"] for cell in timed] == ["value", "value_and_grad"]
    assert asked == [twin] * 4
    for cell in timed:
        assert set(cell["taken"]) == {"fresh", "reused"}
        for way, taken in cell["taken"].items():
            assert set(cell[way]) == {"fastloss", twin, rounds.CONTROL}
            assert taken["rounds"] == 3
            assert 1 <= taken["attempts"] <= rounds.ATTEMPTS
            assert all(0 < lap["seconds"] <= lap["median"] for lap in cell[way].values())


controlled = rounds.controlled


def test_fresh_memory_is_timed_of_two_float32_batches_of_each_loss():
    every = list(works(quick=True))
    fresh = [work for work in every if "fresh" in work.ways]
    assert all("reused" in work.ways for work in every)
    assert {(work.part, work.dtype) for work in fresh} == {("table", "float32")}
    assert Counter(work.case.name for work in fresh) == {case.name: 2 for case in CASES}
    assert {work.case.name for work in every if work.dtype == "float64"} == {c.name for c in CASES}


def test_without_a_kept_heap_nobody_reuses_who_takes_no_out():
    data, work = SPARSE.data(40, 7), Work("table", SPARSE, 40, 7, "float32")
    numpy = next(c for c in peers.installed() if c.name == "NumPy/SciPy")
    entered, _ = compare.enter([*ours.CONTESTANTS, numpy], work, *data, run(keeps=False))
    assert entered["NumPy/SciPy"]["value"].reused is None
    assert entered["NumPy/SciPy"]["value"].fresh is not None
    assert entered["fastloss"]["value"].reused is not None


def test_threads_are_equal_inside_and_restored_after():
    before = numba.get_num_threads(), os.sched_getaffinity(0)
    with processors(1):
        assert numba.get_num_threads() == 1
        assert len(os.sched_getaffinity(0)) == 1
        check_threads(1)
        numba.set_num_threads(before[0])
        if before[0] > 1:
            with pytest.raises(RuntimeError, match="should have 1 threads"):
                check_threads(1)
    assert (numba.get_num_threads(), os.sched_getaffinity(0)) == before
    with pytest.raises(ValueError, match="threads must be"), processors(before[0] + 1):
        pass


HEAP = """
import ctypes, resource
from benchmarks import heap

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = libc.malloc(1 << 26)
    ctypes.memset(block, 1, 1 << 26)
    libc.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if not heap.usual():
    raise SystemExit("no glibc")
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
first = faults()
with heap.kept():
    faults()
    second = faults()
print(first, second, faults())
"""


def test_a_kept_heap_spares_page_faults():
    run = subprocess.run([sys.executable, "-c", HEAP], cwd=ROOT, capture_output=True, text=True)
    if run.stderr.strip() == "no glibc":
        pytest.skip("malloc is not glibc's: nothing can be told to keep memory")
    first, second, after = map(int, run.stdout.split())
    assert min(first, after) > 1000
    assert second < 100


# What is compared


def test_works_are_told_apart_and_quick_ones_are_smaller():
    whole, quick = list(works(quick=False)), list(works(quick=True))
    assert len({str(work) for work in whole}) == len(whole) == len(quick)
    assert {work.case.name for work in whole} == {case.name for case in CASES}
    assert sum(w.rows * w.classes for w in quick) < sum(w.rows * w.classes for w in whole) / 16
    plotted = [work.classes for work in whole if work.part == "plot"]
    assert (plotted[0], plotted[-1]) == (2, 128_256)


@pytest.mark.parametrize("more", [["--quick"], ["--only", "plot"]])
def test_only_whole_runs_are_published(more, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["compare", "--write", *more])
    with pytest.raises(SystemExit):
        compare.arguments()
    assert "whole runs" in capsys.readouterr().err
