"""Usage errors of one line, help, warnings, and a limit of memory."""

import os
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from fastloss.cli.commands import app
from fastloss.cli.parsing import parse_bytes

SPARSE = ["--loss", "sparse_categorical_crossentropy", "--quiet"]


@pytest.fixture(autouse=True)
def _files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(35)
    np.save("x.npy", rng.normal(size=(40, 5)))
    np.save("p.npy", rng.dirichlet(np.ones(5), 40))
    np.save("y.npy", rng.integers(0, 5, 40))


def run(*arguments):
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["evaluate", "x.npy", "y.npy", "--top", "0", *SPARSE], "--top"),
        (["evaluate", "x.npy", "y.npy"], "--loss"),
        (["evaluate", "--nothing", *SPARSE], "--nothing"),
        (["nothing"], "nothing"),
        (["evaluate", "x.npy", "y.npy", "--max-memory", "much", *SPARSE], "512M"),
    ],
)
def test_usage_errors_are_one_line(arguments, words):
    done = run(*arguments)
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("fastloss: error: ")
    assert words in done.stderr


@pytest.mark.parametrize("command", [[], ["evaluate"], ["check"], ["warmup"], ["doctor"]])
def test_short_help(command):
    short, long = run(*command, "-h"), run(*command, "--help")
    assert short.exit_code == 0
    assert short.stdout == long.stdout


def test_help_names_the_losses():
    shown = run("evaluate", "--help").stdout
    for name in ("binary_crossentropy", "bce", "kl_divergence", "kld", "poisson"):
        assert name in shown


def test_logits_given_as_probabilities_are_noticed():
    done = run("evaluate", "x.npy", "y.npy", *SPARSE)
    assert done.exit_code == 0
    assert done.stderr.count("\n") == 1
    assert "logits need --from-logits" in done.stderr
    assert run("evaluate", "x.npy", "y.npy", "--from-logits", *SPARSE).stderr == ""
    assert run("evaluate", "p.npy", "y.npy", *SPARSE).stderr == ""


def test_sizes():
    assert parse_bytes("1.5G") == 3 << 29
    assert parse_bytes("10MiB") == 10 << 20
    for text in ("", "M", "-1M", "1X", "inf"):
        with pytest.raises(ValueError, match="--max-memory must be a number"):
            parse_bytes(text)


def test_a_limit_that_is_too_small_names_the_least():
    done = run("evaluate", "p.npy", "y.npy", *SPARSE, "--max-memory", "1M")
    assert done.exit_code == 2
    assert "max_memory must be at least" in done.stderr


MEASURED = """
import sys
from fastloss.cli.main import main
try:
    main()
finally:
    with open("/proc/self/status") as status:
        print(*(line.split()[1] for line in status if line.startswith("VmHWM")), file=sys.stderr)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs the peak of a process")
@pytest.mark.parametrize("more", [[], ["--no-mmap"]])
def test_the_process_stays_below_the_limit(more):
    """The file is larger than the limit, and nearly all of it a hole."""
    x = np.lib.format.open_memmap("large.npy", "w+", np.float32, (700_000, 200))
    x[0] = 1.0
    del x
    np.save("labels.npy", np.zeros(700_000, np.int64))
    files = ["evaluate", "large.npy", "labels.npy", "--from-logits", *SPARSE, *more]
    run("evaluate", "x.npy", "y.npy", *SPARSE)  # nothing of it is compiled in the measured process
    for limit in ([], ["--max-memory", "400M"]):
        command = [sys.executable, "-c", MEASURED, *files, *limit]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stderr.split()[-1]) << 10 < 400 << 20
