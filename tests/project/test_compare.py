"""The comparison with peers: what it times is right, and its tables say what was measured."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from benchmarks import axes, compare, costs, limits, ours, peers, plot, report, views
from benchmarks.cases import CASES
from benchmarks.contest import Call, Mismatch, check_same, interleaved
from benchmarks.equal import check_threads, processors
from tools.fill_readme import fill

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
@every_case
def test_installed_peers_and_fastloss_itself_compute_the_same(case):
    y_true, y_pred = case.data(40, 7)
    rows, slopes = case.plain(y_true, y_pred)
    contestants = [*ours.CONTESTANTS, *peers.installed()]
    assert "NumPy/SciPy" in [contestant.name for contestant in contestants]
    for contestant in contestants:
        for form, ways in contestant.prepare(case, y_true, y_pred, 1).items():
            for call in filter(None, ways):
                result = call.read(call.run())
                assert (result[1] is None) == (form == "value")
                check_same(call, rows.mean(), slopes / len(rows))


def test_what_is_not_installed_takes_no_part(monkeypatch):
    monkeypatch.setattr(peers, "find_spec", lambda name: None)
    assert peers.installed() == []


@pytest.mark.parametrize(
    ("value", "gradient"),
    [
        (1.001, np.eye(3)),
        (float("nan"), np.eye(3)),
        (1.0, np.eye(3) * 1.001),
        (1.0, np.eye(3) + 1e-5),
        (1.0, np.eye(2)),
    ],
)
def test_wrong_numbers_are_a_mismatch(value, gradient):
    with pytest.raises(Mismatch):
        check_same(Call(lambda: (value, gradient)), 1.0, np.eye(3))
    check_same(Call(lambda: (1.0 + 1e-6, np.eye(3) + 1e-7)), 1.0, np.eye(3))


def test_who_computes_something_else_is_left_out_and_named(monkeypatch):
    work = compare.Work("table", SPARSE, 40, 7, "float32")
    wrong = ours.CONTESTANTS[0].__class__(
        **{**vars(ours.CONTESTANTS[0]), "name": "wrong", "prepare": _wrong}
    )
    data = SPARSE.data(40, 7)
    settings = compare.Settings(rounds=1, threads=1, keeps=True)
    entered, left_out = compare.enter([*ours.CONTESTANTS, wrong], work, *data, settings)
    assert "wrong" not in entered
    assert "fastloss" in entered
    assert [entry["contestant"] for entry in left_out] == ["wrong"]
    assert left_out[0]["why"].startswith("Mismatch: value 0")


def _wrong(case, y_true, y_pred, threads):
    call = Call(lambda: (0.0, None))
    return {"value": limits.Ways(call, call)}


# How it is timed


def test_calls_take_turns_and_are_undone_outside_the_clock():
    log = []
    calls = {
        "a": Call(lambda: log.append("a"), before=lambda: log.append("undo")),
        "b": Call(lambda: log.append("b"), before=lambda: log.append("undo")),
    }
    laps = interleaved(calls, rounds=2, threads=1)
    one = ["undo", "a", "undo", "a", "undo", "b", "undo", "b"]
    assert log == one + one
    assert list(laps) == ["a", "b"]


def test_short_calls_fill_a_lap():
    log = []
    interleaved({"a": Call(lambda: log.append("a"))}, rounds=1, threads=1)
    assert len(log) > 100


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


# What is written


def laps(**milliseconds):
    return {name: {"seconds": t / 1e3, "cores": 2.0} for name, t in milliseconds.items()}


def cell(form, *, part="table", classes=1000, dtype="float32", limit=True, **peer):
    times = {"fastloss": 4.0, **peer}
    if limit:
        times["limit"] = 3.0
    return {
        "part": part, "case": "sparse_logits", "rows": 32000 // classes * 1000, "classes": classes,
        "dtype": dtype, "form": form, "bytes": 256_000_000,
        "fresh": laps(**{name: 2 * t for name, t in times.items()}), "reused": laps(**times),
    }  # fmt: skip


@pytest.fixture
def result():
    """Return a comparison of us with torch, where JAX took part but was left out everywhere."""
    forms = ("value", "value_and_grad")
    table = [cell(form, torch=30.0) for form in forms]
    table += [cell(form, classes=10, limit=False, torch=0.03) for form in forms]
    table += [cell(form, dtype="float64") for form in forms]
    plotted = [cell(form, part="plot", classes=c, torch=30.0) for form in forms for c in (2, 1000)]
    text = json.dumps(
        {
            "date": "2026-01-02", "rounds": 7, "threads": 2, "heap_kept": True,
            "machine": {
                "processor": "Some CPU (znver9)", "simd": [], "system": "Linux x86_64", "load": 0.1,
                "threading_layer": "omp", "versions": {"numba": "0.68.1", "torch": "2.13.0"},
            },
            "contestants": [
                {"name": name, "value": "v", "gradient": "g", "threads": "t"}
                for name in ("fastloss", "fastloss in place", "torch", "JAX jit")
            ],
            "cells": table + plotted,
            "left_out": [
                {"contestant": "JAX jit", "work": "table sparse_logits", "why": "Mismatch: value 0"}
            ],
        }
    )  # fmt: skip
    return json.loads(text)


def columns(table, row):
    """Return a row of a Markdown table as a dictionary."""
    lines = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("|")]
    return {k.strip(): v.strip() for k, v in zip(lines[0], lines[2 + row], strict=True)}


def test_headline(result):
    table = report.headline(result)
    large, small = columns(table, 0), columns(table, 1)
    assert large["batch"] == "32,000 × 1,000"
    assert large["fastloss"] == "8 / 4"
    assert large["of memory's speed"] == "0.75"
    assert large["torch"] == "60 / 30"
    assert small["torch"] == "60 µs / 30 µs"
    assert small["of memory's speed"] == ""
    assert "JAX jit" not in large
    for said in (
        "2026-01-02",
        "Some CPU (znver9)",
        "torch 2.13.0",
        "2 threads",
        "7 rounds",
        "load average 0.1",
    ):
        assert said in table


def test_full_report(result):
    text = report.full(result)
    sections = dict(part.split("\n\n", 1) for part in text.split("### ")[1:])
    assert list(sections) == [
        "Value and gradient, float32, reused", "Value and gradient, float32, fresh",
        "Value, float32, reused", "Value, float32, fresh",
        "float64, reused", "Who took part", "Left out",
    ]  # fmt: skip
    row = columns(sections["Value, float32, fresh"], 0)
    assert (row["limit"], row["fastloss"], row["of limit"], row["torch"]) == (
        "6",
        "8",
        "0.75",
        "60",
    )
    assert row["best peer takes"] == "7.5 ×"
    assert "JAX jit" not in row
    assert columns(sections["float64, reused"], 0)["of copy"] == "0.75"
    assert "JAX jit, table sparse_logits: Mismatch: value 0" in sections["Left out"]
    assert "performance.svg" in text


def test_without_peers_the_tables_hold_us_alone(result):
    for entry in result["cells"]:
        for way in ("fresh", "reused"):
            entry[way].pop("torch", None)
    assert "torch" not in columns(report.headline(result), 0)
    row = columns(report.full(result).split("### ")[1], 0)
    assert row["best peer takes"] == ""
    assert list(row)[:5] == ["loss", "batch", "limit", "fastloss", "of limit"]


def test_a_block_is_replaced_and_nothing_else(result):
    text = "before\n<!-- benchmark:begin -->\nold\n<!-- benchmark:end -->\nafter\n"
    once = fill(text, "benchmark", report.headline(result))
    assert once.startswith("before\n")
    assert once.endswith("after\n")
    assert "old" not in once
    assert fill(once, "benchmark", report.headline(result)) == once
    with pytest.raises(SystemExit, match="exactly one block"):
        fill("no block", "benchmark", "")


def test_documents_have_a_block_each():
    for name in ("README.md", "docs/performance.md"):
        fill((ROOT / name).read_text(encoding="utf-8"), "benchmark", "")


def test_plot_draws_whom_it_has_and_is_reproducible(result, tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    for name in ("a.svg", "b.svg", "a.png"):
        plot.draw(result, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    drawn = (tmp_path / "a.svg").read_text(encoding="utf-8")
    for label in ("fastloss", "torch", "parallel copy", "parallel read"):
        assert f"<!-- {label} -->" in drawn
    assert "<!-- JAX jit -->" not in drawn
    assert (tmp_path / "a.png").stat().st_size > 10_000


@pytest.mark.parametrize("wanted", [[0.1], [0.1, 0.9], [0.5, 0.5, 0.5], [0.1, 0.12, 0.14, 0.8]])
def test_labels_keep_their_distance_and_order(wanted):
    heights = plot.spread(wanted, 0.05)
    assert np.all(np.diff(heights) >= 0.05 - 1e-12)
    assert np.mean(heights) == pytest.approx(np.mean(wanted))


def test_works_are_told_apart_and_quick_ones_are_smaller():
    whole, quick = list(compare.works(quick=False)), list(compare.works(quick=True))
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


# What each step costs


@pytest.mark.parametrize("step", costs.STEPS)
def test_every_step_runs_as_it_is_called_in_the_kernels(step):
    x, t, w, terms = np.full((4, costs.SIZE), 0.25, np.float32)
    costs.STEPS[step](x, t, w, terms, np.float32(1e-7), np.float32(1 - 1e-7))
    if "term" in step:
        assert not (terms == 0.25).any()
        assert not (w == 0.25).any()


# What another class axis costs


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_classes_apart_are_the_same_rows(case):
    shapes = [shape for named, shape in axes.works() if named is case]
    assert (1000, 32768) in shapes
    timed = axes.calls(case, (2, 5, 3, 2), 1)
    np.testing.assert_allclose(timed["value"](), timed["value, apart"](), rtol=1e-6)
    value, gradient = timed["gradient"]()
    same, slopes = timed["gradient, apart"]()
    np.testing.assert_allclose(value, same, rtol=1e-6)
    np.testing.assert_allclose(np.sort(gradient, None), np.sort(slopes, None), rtol=1e-6)
    found = {(case.name, shapes[-1]): axes.measure(timed, rounds=2)}
    assert min(found[case.name, shapes[-1]].values()) > 0
    lines = axes.table(found).splitlines()
    assert lines[0].count("|") == lines[2].count("|") == 10


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("view", views.VIEWS, ids=lambda view: view.text)
def test_views_are_the_same_rows(case, view):
    small = view._replace(whole=tuple(min(n, 3) if n > 5000 else n for n in view.whole))
    if view.take is views.VIEWS[-1].take:
        small = view._replace(whole=(2, 5, 3, 4))
    elif len(view.whole) == 3:
        small = view._replace(whole=(3, 4, 7))
    timed = views.calls(case, small)
    value, gradient = timed["gradient"]()
    same, slopes = timed["gradient, apart"]()
    np.testing.assert_array_equal(gradient, slopes)
    assert timed["value"]() == timed["value, apart"]() == value == same
    found = {(case.name, small): dict.fromkeys(timed, 1.0)}
    lines = views.table(found).splitlines()
    assert lines[0].count("|") == lines[2].count("|") == 10
