"""What workers write: the bytes that one process writes, and a file that is whole or absent."""

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import fastloss as fl
from fastloss.cli.commands import app
from fastloss.formats.shared_sink import open_shared_sink
from fastloss.out_of_core.evaluation import evaluate_in_blocks
from fastloss.out_of_core.outputs import Outputs, open_outputs
from fastloss.out_of_core.parts import Task

pytest.importorskip("dask.array", reason="the oldest environment is without Dask")
pytest.importorskip("distributed")
cluster_files = pytest.importorskip("fastloss.dask.files")

RNG = np.random.default_rng(6)
ROWS, CLASSES = 801, 6
LOGITS = RNG.normal(size=(ROWS, CLASSES)).astype("f4")
LABELS = RNG.integers(0, CLASSES, ROWS)
SPARSE = ["--loss", "sparse_categorical_crossentropy", "--from-logits", "--block-rows", "16"]
OUTPUTS = ["r", "g"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Work among shards of uneven lengths, in parts of some blocks."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cluster_files, "PART_BYTES", 2_000)
    for number, part in enumerate(np.split(np.arange(ROWS), [300, 301])):
        np.save(f"x-{number}.npy", LOGITS[part])
        np.save(f"y-{number}.npy", LABELS[part])
    np.save("weights.npy", RNG.random(ROWS))
    np.save("mask.npy", RNG.random(ROWS) < 0.7)
    return tmp_path


def evaluate(*arguments, code=0):
    result = CliRunner().invoke(app, ["evaluate", *arguments, *SPARSE])
    assert result.exit_code == code, result.output
    return result


def written(where, suffix, *arguments):
    """Return the bytes of row losses and gradient, which a run leaves in a folder of its own."""
    os.mkdir(where)
    evaluate(*arguments, "--rows-out", f"{where}/r{suffix}", "--grad-out", f"{where}/g{suffix}")
    assert sorted(os.listdir(where)) == [f"g{suffix}", f"r{suffix}"]
    return [Path(where, name + suffix).read_bytes() for name in OUTPUTS]


WEIGHTED = ["--weights", "weights.npy", "--mask", "mask.npy"]
OPTIONS = {
    "mean": [],
    "sum": ["--reduction", "sum", *WEIGHTED],
    "none": ["--reduction", "none", "--dtype", "float64"],
    "mean by weight": ["--reduction", "mean_with_sample_weight", "--ignore-class", "2", *WEIGHTED],
}


@pytest.mark.parametrize("suffix", [".npy", ".csv", ".parquet"])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_the_bytes_are_those_of_one_process(client, suffix, options):
    arguments = ["--predictions", "x-*.npy", "--targets", "y-*.npy", *options]
    alone = written("alone", suffix, *arguments)
    address = ["--scheduler", client.scheduler.address]
    assert written("cluster", suffix, *arguments, *address) == alone


@pytest.mark.parametrize("suffix", [".npy", ".csv", ".parquet"])
def test_the_class_axis_comes_first(client, suffix):
    np.save("x.npy", LOGITS.T)
    np.save("y.npy", LABELS)
    arguments = ["x.npy", "y.npy", "--axis", "0"]
    rows, grad = written("alone", ".npy", *arguments)
    found = written("cluster", suffix, *arguments, "--scheduler", client.scheduler.address)
    if suffix == ".npy":
        assert found == [rows, grad]
    else:  # one process cannot write this gradient: it has no whole rows before the end
        read = pd.read_csv if suffix == ".csv" else pd.read_parquet
        table = np.array(read(f"cluster/g{suffix}").to_numpy().tolist(), "f4").reshape(6, ROWS)
        np.testing.assert_array_equal(table, np.load("alone/g.npy"))


def test_rows_on_standard_output(client):
    arguments = ["--predictions", "x-*.npy", "--targets", "y-*.npy", "--rows-out", "-"]
    before = sorted(os.listdir())
    alone = evaluate(*arguments).stdout
    assert alone.startswith("loss\n")
    assert evaluate(*arguments, "--scheduler", client.scheduler.address).stdout == alone
    assert sorted(os.listdir()) == before


def test_one_line_before_the_work_if_a_place_cannot_be_written():
    nobody = ["--scheduler", "tcp://127.0.0.1:1"]  # would be an error too, half a minute later
    for name in ("gone/g.npy", "gone/g.csv", "x-0.npy/g.parquet"):
        line = evaluate("x-0.npy", "y-0.npy", "--grad-out", name, *nobody, code=2).stderr
        assert line.count("\n") == 1
        assert f"{name}: cannot be written: " in line


@pytest.mark.parametrize("suffix", [".npy", ".csv", ".parquet"])
def test_an_error_in_one_part_leaves_what_was_there(client, monkeypatch, suffix):
    connect = cluster_files.cluster

    def late(*arguments):
        os.truncate("x-2.npy", 500)
        return connect(*arguments)

    monkeypatch.setattr(cluster_files, "cluster", late)
    Path(f"g{suffix}").write_bytes(b"older")
    before = sorted(os.listdir())
    arguments = ["--predictions", "x-*.npy", "--targets", "y-*.npy", "--rows-out", f"r{suffix}"]
    address = ["--scheduler", client.scheduler.address]
    line = evaluate(*arguments, "--grad-out", f"g{suffix}", *address, code=2).stderr
    assert line.count("\n") == 1
    assert "x-2.npy: changed while it was read" in line
    assert "; in rows " in line  # so it comes from a worker
    assert sorted(os.listdir()) == before
    assert Path(f"g{suffix}").read_bytes() == b"older"


def test_an_interrupt_leaves_nothing(client, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    before = sorted(os.listdir())
    monkeypatch.setattr(cluster_files, "summary_of", interrupted)  # all has been written
    outputs = ["--rows-out", "r.csv", "--grad-out", "g.npy"]
    address = ["--scheduler", client.scheduler.address]
    shown = evaluate("x-0.npy", "y-0.npy", *outputs, *address, code=130).stderr
    assert shown == "fastloss: interrupted\n"
    assert sorted(os.listdir()) == before


def test_a_worker_that_is_killed_while_it_writes(client, monkeypatch):
    monkeypatch.setattr(cluster_files, "PART_BYTES", 1 << 20)
    rows, classes = 20_000, 1000
    np.save("x.npy", RNG.normal(size=(rows, classes)).astype("f4"))
    np.save("y.npy", RNG.integers(0, classes, rows))
    loss = fl.SparseCategoricalCrossentropy(from_logits=True)
    alone = evaluate_in_blocks(
        loss, np.load("y.npy"), np.load("x.npy", mmap_mode="r"), grad_out="alone.npy", block_rows=64
    )
    task = Task(loss, block_rows=64)
    readers = cluster_files.open_files({"y_pred": ["x.npy"], "y_true": ["y.npy"]}, mapped=True)
    found = []

    def work():
        paths = Outputs(gradient=Path("g.npy"))
        with open_outputs(loss, (rows,), readers["y_pred"], paths, open_shared_sink) as outputs:
            found.append(cluster_files.evaluate_files(client, task, readers, outputs, quiet=True))

    victim = client.submit(os.getpid, pure=False).result(timeout=300)
    scheduler = client.cluster.scheduler

    def finished():
        tasks = list(scheduler.tasks.values())
        return sum(t.prefix.name == "fastloss-summarize" and t.state == "memory" for t in tasks)

    thread = threading.Thread(target=work)
    thread.start()
    while finished() < 3 and thread.is_alive():
        time.sleep(0.005)
    os.kill(victim, signal.SIGKILL)
    assert thread.is_alive()
    thread.join(timeout=300)
    assert found[0].value == alone.value
    assert Path("g.npy").read_bytes() == Path("alone.npy").read_bytes()
    client.wait_for_workers(2)
    assert victim not in client.run(os.getpid).values()
