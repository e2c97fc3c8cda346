"""Real worker processes: less memory than data, a death in the middle, files, the command."""

import json
import os
import signal
import time

import numpy as np
import pytest
from processes import run

import fastloss as fl

da = pytest.importorskip("dask.array", reason="the oldest environment is without Dask")
pytest.importorskip("distributed")
fd = pytest.importorskip("fastloss.dask")

CLASSES, PERIOD = 1000, 101
LOSS = fl.SparseCategoricalCrossentropy(from_logits=True)


def lazy(rows, chunk):
    """Return labels and logits with a period of 101 rows, made by the workers."""
    i, j = da.arange(rows, chunks=chunk), da.arange(CLASSES, chunks=CLASSES)
    logits = ((i[:, None] * 7 + j[None, :] * 13) % PERIOD).astype("f4") / 10
    return (i % PERIOD) * 3, logits


def expected(rows):
    """Return the sum of the losses by the formula, in float64, and one period of the inputs."""
    i = np.arange(PERIOD)
    logits = (
        ((i[:, None] * 7 + np.arange(CLASSES) * 13) % PERIOD).astype("f4") / np.float32(10)
    ).astype("f8")
    losses = np.log(np.exp(logits).sum(1)) - logits[i, i * 3]
    return float(losses @ (rows // PERIOD + (i < rows % PERIOD)))


def test_data_larger_than_the_memory_of_all_workers(client):
    rows = 290_000
    labels, logits = lazy(rows, 2_000)
    workers = client.scheduler_info()["workers"].values()
    assert logits.nbytes > sum(worker["memory_limit"] for worker in workers)
    summary = client.compute(fd.evaluate(LOSS, labels, logits, worst=1)).result(timeout=300)
    assert summary.value == pytest.approx(expected(rows) / rows, rel=1e-6)
    assert (summary.counts.rows, summary.losses.count) == (rows, rows)


def test_a_worker_that_is_killed_in_the_middle(client):
    rows = 60_000
    labels, logits = lazy(rows, 500)
    before = client.submit(os.getpid, pure=False).result(timeout=300)
    calm = client.compute(fd.value(LOSS, labels, logits)).result(timeout=300)
    future = client.compute(fd.value(LOSS, labels, logits))
    scheduler = client.cluster.scheduler

    def finished():
        tasks = list(scheduler.tasks.values())
        return sum(t.prefix.name == "fastloss-total" and t.state == "memory" for t in tasks)

    while finished() < 3 and not future.done():
        time.sleep(0.005)
    os.kill(before, signal.SIGKILL)
    assert future.status == "pending"
    assert future.result(timeout=300) == calm
    assert calm == pytest.approx(expected(rows) / rows, rel=1e-6)
    client.wait_for_workers(2)
    assert before not in client.run(os.getpid).values()


def test_the_bits_do_not_depend_on_the_workers(client):
    labels, logits = lazy(3_000, 700)
    gradient = fd.value_and_grad(LOSS, labels, logits)
    names = list(client.scheduler_info()["workers"])
    found = [
        [future.result(timeout=300) for future in client.compute(gradient, workers=names[:count])]
        for count in (1, 2)
    ]
    here = LOSS.value_and_grad(labels.compute(), logits.compute())
    for value, grad in found:
        assert value == found[0][0]
        np.testing.assert_array_max_ulp(value, here[0], 1)
        np.testing.assert_array_equal(grad, here[1])


def test_an_error_in_one_chunk_names_it(client):
    labels, logits = lazy(3_000, 500)
    labels = da.where(da.arange(3_000, chunks=500) == 1_700, 1000, labels)
    with pytest.raises(ValueError, match=r"got 1000 at row 1700; in (chunk 3 of y_pred, )?rows"):
        client.compute(fd.evaluate(LOSS, labels, logits)).result(timeout=300)


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(5)
    for number, rows in enumerate((300, 1, 500)):
        np.save(f"x-{number}.npy", rng.normal(size=(rows, 6)).astype("f4"))
        np.save(f"y-{number}.npy", rng.integers(0, 6, rows))
        np.save(f"w-{number}.npy", rng.random(rows))
    np.savetxt("groups.csv", rng.integers(0, 4, 801), "%d", header="key", comments="")
    return [
        "evaluate", "--predictions", "x-*.npy", "--targets", "y-*.npy", "--weights", "w-*.npy",
        "--groups", "groups.csv", "--loss", "sparse_categorical_crossentropy", "--from-logits",
        "--reduction", "mean_with_sample_weight", "--top", "2", "--block-rows", "16", "--json",
    ]  # fmt: skip


def command(arguments, code=0):
    from typer.testing import CliRunner

    from fastloss.cli.commands import app

    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == code, result.output
    return result


def without_time(text):
    found = json.loads(text)
    assert found.pop("seconds") > 0
    return found


def test_the_command_with_a_scheduler(client, files, monkeypatch):
    from fastloss.dask import files as module

    monkeypatch.setattr(module, "PART_BYTES", 2_000)  # several parts
    alone = without_time(command(files).stdout)
    address = ["--scheduler", client.scheduler.address]
    found = without_time(command([*files, *address]).stdout)
    for name in ("accuracy", "ece", "top_k", "groups"):  # float64 sums of parts
        assert str(found.pop(name))[:12] == str(alone.pop(name))[:12]
    assert found == alone
    np.save("y-1.npy", np.array([6]))
    line = command([*files, *address], code=2).stderr
    assert line.count("\n") == 1
    assert "got 6 at row 300, in " in line
    assert "y-1.npy, row 0 of it; in rows " in line
    assert "not both" in command([*files, *address, "--workers", "1"], code=2).stderr


def test_the_command_with_workers_of_its_own(files):
    code = f"""
    import sys
    from fastloss.cli.main import main
    if __name__ == "__main__":
        sys.argv = ["fastloss", *{files!r}, "--workers", "1"]
        main()
    """
    assert without_time(run(code))["value"] == without_time(command(files).stdout)["value"]


def test_what_is_missing_is_named(files):
    code = """
    import sys
    sys.modules["distributed"] = None
    from fastloss.cli.commands import app
    from typer.testing import CliRunner
    loss = ["--loss", "poisson", "--workers", "1"]
    print(CliRunner().invoke(app, ["evaluate", "x.npy", "x.npy", *loss]).stderr)
    """
    np.save("x.npy", np.ones((2, 2), "f4"))
    assert 'needs the package distributed: pip install "dask[array]" distributed' in run(code)
