"""Help, usage errors, shell completion, warnings and the progress bar of the command."""

import io
import re
import subprocess
import sys

import numpy as np
import pytest
from processes import environment
from rich.console import Console
from typer.testing import CliRunner

from fastloss.cli import progress
from fastloss.cli.commands import app
from fastloss.identifiers import CLASSES, FUNCTIONS

RNG = np.random.default_rng(8)
COMMANDS = ["check", "doctor", "warmup", "evaluate"]


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)], ids=str)
def test_h_is_help(command):
    short, long = (run(*command, option) for option in ("-h", "--help"))
    assert short.exit_code == long.exit_code == 0
    assert "Usage:" in short.stdout
    assert short.stdout == long.stdout


def test_help_names_all_losses(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    shown = run("evaluate", "--help").stdout
    for name in FUNCTIONS:
        assert re.search(rf"\b{name}\b", shown), name
    assert run("evaluate", "x", "y", "--loss", "hinge").exit_code == 2
    assert all(run("evaluate", "x", "y", "--loss", name).exit_code == 2 for name in CLASSES)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["evaluate", "x.npy", "y.npy"], "Missing option '--loss'"),
        (["doctor", "c"], "c"),
        (["evaluate", "--worst", "few", "--loss", "bce"], "--worst"),
        (["evaluate", "--bins", "0", "--loss", "bce"], "--bins"),
        (["evaluate", "--wors", "3", "--loss", "bce"], "--wors"),
        (["evaluat"], "evaluate"),
        (["--weights"], "--weights"),
        (["warmup", "--processes", "0"], "--processes"),
    ],
)
def test_a_usage_error_is_one_line(arguments, words):
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("fastloss: error: ")
    assert words in result.stderr
    assert result.stderr.endswith("--help\n")


def test_without_arguments_help_is_shown():
    result = run()
    assert "evaluate" in result.output
    assert "error" not in result.output


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("fastloss eval", {"evaluate"}),
        ("fastloss evaluate --plo", {"--plot"}),
        ("fastloss evaluate --loss poi", {"poisson"}),
    ],
)
def test_shells_complete_commands_options_and_losses(typed, expected):
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.argv[0] = 'fastloss'\nfrom fastloss.cli.main import main; main()",
        ],
        env=environment(_FASTLOSS_COMPLETE="complete_bash", **words),
        capture_output=True,
        text=True,
        check=False,
    )
    assert set(result.stdout.split()) == expected, result.stderr


def test_completion_can_be_installed():
    shown = run("--help").stdout
    assert "--install-completion" in shown
    assert "--show-completion" in shown


@pytest.fixture
def _files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shares = RNG.dirichlet(np.ones(4), 30)
    arrays = {
        "logits": RNG.normal(size=(30, 4)),
        "shares": shares,
        "rounded": np.where(shares > 0.9, 1.00001, shares),
        "holes": np.where(shares > 0.9, np.nan, shares),
        "empty": np.empty((0, 4)),
        "targets": np.eye(4)[RNG.integers(0, 4, 30)],
    }
    for name, array in arrays.items():
        np.save(f"{name}.npy", array.astype(np.float32))
    np.save("labels.npy", RNG.integers(0, 4, 30))


LOSSES_OF_PROBABILITIES = {
    "sparse_categorical_crossentropy": "labels.npy",
    "categorical_crossentropy": "targets.npy",
    "binary_crossentropy": "targets.npy",
    "kl_divergence": "targets.npy",
}


@pytest.mark.usefixtures("_files")
@pytest.mark.parametrize("loss", LOSSES_OF_PROBABILITIES)
def test_logits_given_as_probabilities_are_noticed(loss):
    result = run("evaluate", "logits.npy", LOSSES_OF_PROBABILITIES[loss], "--loss", loss, "--quiet")
    assert result.exit_code == 0
    (line,) = result.stderr.splitlines()
    logits = np.load("logits.npy")
    assert line.startswith("fastloss: warning: logits.npy: ")
    assert f"the first 30 rows have values from {logits.min():.4g} to {logits.max():.4g}" in line
    assert ("--from-logits" in line) == (loss != "kl_divergence")


@pytest.mark.usefixtures("_files")
@pytest.mark.parametrize("loss", LOSSES_OF_PROBABILITIES)
@pytest.mark.parametrize("predictions", ["shares", "rounded", "holes"])
def test_probabilities_pass_in_silence(loss, predictions):
    targets = LOSSES_OF_PROBABILITIES[loss]
    result = run("evaluate", f"{predictions}.npy", targets, "--loss", loss, "--quiet")
    assert (result.exit_code, result.stderr) == (0, "")


@pytest.mark.usefixtures("_files")
def test_other_losses_take_any_number():
    for more in (["bce", "--from-logits"], ["poisson", "--log-input"]):
        result = run("evaluate", "logits.npy", "targets.npy", "--quiet", "--loss", *more)
        assert (result.exit_code, result.stderr) == (0, "")
    result = run("evaluate", "empty.npy", "empty.npy", "--loss", "bce", "--quiet")
    assert (result.exit_code, result.stderr) == (0, "")


def test_the_bar_says_that_kernels_are_made_ready_until_blocks_come(monkeypatch):
    terminal = io.StringIO()
    monkeypatch.setattr(
        progress,
        "Console",
        lambda **_: Console(file=terminal, force_terminal=True, width=120, color_system=None),
    )

    def shown():
        text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.getvalue())
        return [line for line in re.split("[\r\n]", text) if line.strip()][-1]

    with progress.blocks_done(False, "x.npy", 4_000_000) as done:
        first = shown()
        assert "compiling" in first
        assert "MB" not in first
        assert "-:--" not in first
        done(0)
        done(1_000_000)
        done(1_000_000)
    last = shown()
    assert "x.npy" in last
    assert "2.0/4.0 MB" in last
    assert re.search(r" [\d.]+ .?B/s \d:\d\d:\d\d", last)
    assert "compiling" not in last


def test_quiet_shows_nothing(capsys):
    with progress.blocks_done(True, "x.npy", 10) as done:
        done(0)
        done(10)
    assert capsys.readouterr() == ("", "")
