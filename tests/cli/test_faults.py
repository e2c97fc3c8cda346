"""Hostile and failing files: one line, exit code 2, outputs whole or absent."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from npy_header import header
from processes import TIMEOUT, environment, mostly
from typer.testing import CliRunner

from fastloss.cli.commands import app

MAGIC = b"\x93NUMPY"
RUN = "from fastloss.cli.main import main; main()"
SPARSE = ["--loss", "sparse_categorical_crossentropy"]
OUTPUTS = ["--rows-out", "r.npy", "--grad-out", "g.npy"]

pytestmark = pytest.mark.usefixtures("_files")


@pytest.fixture
def _files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    np.save("x.npy", rng.random((40, 6), np.float32))
    np.save("y.npy", rng.integers(0, 6, 40))


def sized(length: int) -> bytes:
    """Return the beginning of a file whose header claims to be so long."""
    return MAGIC + b"\x01\x00" + length.to_bytes(2, "little")


GOOD = header(shape="(40, 6)") + bytes(960)
HEADERS = {
    "no byte": b"",
    "one byte": b"\x93",
    "the magic alone": MAGIC,
    "a version and no more": MAGIC + b"\x01\x00",
    "half a length": MAGIC + b"\x01\x00\x76",
    "a length and no more": sized(118),
    "a header of no length": sized(0) + bytes(960),
    "a header longer than the file": sized(65535) + b"{'descr': '<f4'",
    "zeros for a header": sized(118) + bytes(2000),
    "text for a header": sized(118) + b"x" * 2000,
    "bytes that are no UTF-8": sized(118) + b"\xff" * 2000,
    "a header without an end": GOOD.replace(b"}", b" "),
    "a list for a header": GOOD.replace(b"{", b"[").replace(b"}", b"]"),
    "a number for a header": sized(118) + b"7".ljust(117) + b"\n" + bytes(960),
    "a call for a header": sized(118) + b"__import__('os').abort()".ljust(117) + b"\n" + bytes(960),
    "no descr": GOOD.replace(b"descr", b"desce"),
    "no shape": GOOD.replace(b"shape", b"shapE"),
    "one key too many": GOOD.replace(b"), }  ", b"), 'a':1}"[:7]),
    "descr twice, the last of objects": GOOD.replace(b"'shape': (40, 6), }" + b" " * 16,
                                                     b"'shape': (40, 6), 'descr': '|O'}   "),
    "a number for descr": header("7") + bytes(24),
    "a dict for descr": header("{}") + bytes(24),
    "None for descr": header("None") + bytes(24),
    "descr '<f3'": header("'<f3'") + bytes(24),
    "descr '<f16'": header("'<f16'") + bytes(96),
    "descr 'f4,f4'": header("'<f4,<f4'") + bytes(48),
    "descr '<f4' in a list": header("['<f4']") + bytes(24),
    "objects": header("'|O'") + bytes(48),
    "objects in records": header("[('a', '|O')]") + bytes(48),
    "records": header("[('a', '<f4')]") + bytes(24),
    "arrays of arrays": header("('<f4', (6,))") + bytes(144),
    "complex numbers": header("'<c8'") + bytes(48),
    "strings": header("'<U1'") + bytes(24),
    "bytes": header("'|S4'") + bytes(24),
    "raw memory": header("'|V4'") + bytes(24),
    "dates": header("'<M8[s]'") + bytes(48),
    "durations": header("'<m8[s]'") + bytes(48),
    "a negative length": header(shape="(40, -6)") + bytes(960),
    "two negative lengths": header(shape="(-40, -6)") + bytes(960),
    "a length that is no integer": header(shape="(40, 6.0)") + bytes(960),
    "True for a length": header(shape="(True, 'a')") + bytes(960),
    "a list for a shape": header(shape="[40, 6]") + bytes(960),
    "a number for a shape": header(shape="240") + bytes(960),
    "None for a shape": header(shape="None") + bytes(960),
    "3 TB": header(shape="(1000000000, 750)") + bytes(960),
    "more than 64 bits": header(shape=f"({2**63}, {2**63})") + bytes(960),
    "exactly 2**64 bytes": header(shape=f"({2**32}, {2**30})") + bytes(960),
    "a product that wraps to the truth": header(shape=f"({2**62 + 60}, 4)") + bytes(960),
    "65 axes": header(shape="(" + "1, " * 65 + ")") + bytes(4),
    "lists in lists": header(shape="(" + "(" * 900 + ")" * 900 + ",)") + bytes(4),
    "2 for an order": header(order="2") + bytes(24),
    "'C' for an order": header(order="'C'") + bytes(24),
    "a byte too few": GOOD[:-1],
    "a byte too many": GOOD + b"\x00",
    "no data": GOOD[:128],
    "version 0": MAGIC + b"\x00\x00" + GOOD[8:],
    "version 3": MAGIC + b"\x03\x00" + GOOD[8:],
    "version 255": MAGIC + b"\xff\xff" + GOOD[8:],
    "a zip file": b"PK\x03\x04" + bytes(2000),
    "a pickle": b"\x80\x04\x95" + bytes(2000),
    "text": b"0.1, 0.2, 0.7\n" * 40,
    "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(2000),
}  # fmt: skip


def refused(*arguments: str) -> str:
    """Hold an evaluation to one line and no trace of an output; return the line."""
    before = sorted(os.listdir())
    result = CliRunner().invoke(app, ["evaluate", *arguments, *SPARSE, *OUTPUTS, "--quiet"])
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("fastloss: error: ")
    assert result.stderr.rstrip("\n").isprintable()
    assert sorted(os.listdir()) == before
    return str(result.stderr)


@pytest.mark.parametrize("content", HEADERS.values(), ids=HEADERS)
def test_malformed_files(content: bytes) -> None:
    Path("bad.npy").write_bytes(content)
    for option in ([], ["--no-mmap"]):
        for files in (["bad.npy", "y.npy"], ["x.npy", "bad.npy"]):
            assert "error: bad.npy: " in refused(*files, *option)
    for switch in ("--weights", "--mask", "--class-weight"):
        assert "error: bad.npy: " in refused("x.npy", "y.npy", switch, "bad.npy")


def test_the_table_spoils_something_good() -> None:
    Path("good.npy").write_bytes(GOOD)
    result = CliRunner().invoke(app, ["evaluate", "good.npy", "y.npy", *SPARSE, "--quiet"])
    assert result.exit_code == 0, result.stderr
    assert GOOD not in HEADERS.values()


@pytest.mark.parametrize("order", ["<", ">"])
def test_either_byte_order_is_read(order: str) -> None:
    x, y = np.load("x.npy"), np.load("y.npy")
    arguments = [*SPARSE, "--rows-out", "r.npy", "--quiet"]
    assert CliRunner().invoke(app, ["evaluate", "x.npy", "y.npy", *arguments]).exit_code == 0
    expected = np.load("r.npy")
    np.save("x.npy", x.astype(f"{order}f4"))
    np.save("y.npy", y.astype(f"{order}i4"))
    assert CliRunner().invoke(app, ["evaluate", "x.npy", "y.npy", *arguments]).exit_code == 0
    np.testing.assert_array_equal(np.load("r.npy"), expected)


def test_a_file_that_really_is_3_TB() -> None:
    start = header(shape="(500000000, 1500)")
    with open("vast.npy", "wb") as file:
        file.write(start)
        try:
            file.truncate(len(start) + 3_000_000_000_000)
        except OSError as error:
            pytest.skip(f"no file system for files of 3 TB: {error.strerror}")
    for option in ([], ["--no-mmap"]):
        assert "same shape" in refused("vast.npy", "y.npy", *option)
        assert "must fit" in refused("x.npy", "y.npy", "--weights", "vast.npy", *option)


def program(*arguments: str, script: str = "", **options: object) -> "subprocess.Popen[str]":
    """Start any command, after `script`."""
    return subprocess.Popen(
        [sys.executable, "-c", script + RUN, *arguments],
        text=True,
        **{"env": environment(), "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},  # type: ignore[call-overload]
    )


def start(script: str = "", *more: str, **options: object) -> "subprocess.Popen[str]":
    """Start an evaluation in blocks of 5 rows, after `script`; quiet, as it may have to compile."""
    arguments = ["evaluate", "x.npy", "y.npy", *SPARSE, "--block-rows", "5", "--quiet", *more]
    return program(*arguments, script=script, **options)


# Runs `deed` when half of the blocks are done.
HALFWAY = """
import os, signal
from fastloss.out_of_core import blocks
take = blocks.SecondPass._read
def read(self, chunk):
    if chunk[0].start == 20:
        {deed}
    return take(self, chunk)
blocks.SecondPass._read = read
blocks.in_order = lambda function, tasks, workers: map(function, tasks)
"""


def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    with process:
        out, errors = process.communicate(timeout=TIMEOUT)
    assert "Traceback" not in errors
    return process.returncode, out, errors


DEEDS = {
    "cut short": ("os.truncate('x.npy', 500)", "x.npy: "),
    "emptied": ("os.truncate('x.npy', 0)", "x.npy: "),
    "grown": ("open('x.npy', 'ab').write(b'more')", "x.npy: "),
    "labels cut short": ("os.truncate('y.npy', 200)", "y.npy: "),
}


@pytest.mark.parametrize("what", mostly(*DEEDS))
def test_files_that_change_while_they_are_read(what: str) -> None:
    deed, words = DEEDS[what]
    Path("g.npy").write_bytes(b"older")
    code, out, errors = ended(start(HALFWAY.format(deed=deed), "--no-mmap", *OUTPUTS))
    assert (code, out, errors.count("\n")) == (2, "", 1)
    assert errors.startswith(f"fastloss: error: {words}")
    assert sorted(os.listdir()) == ["g.npy", "x.npy", "y.npy"]
    assert Path("g.npy").read_bytes() == b"older"


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits and signals of POSIX")
def test_a_disk_that_fills_up_in_the_middle() -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))\n"
    setting = "import sys; sys.dont_write_bytecode = True\n"
    code, out, errors = ended(start(setting + limit, *OUTPUTS))
    assert (code, out, errors.count("\n")) == (2, "", 1)
    assert "g.npy: cannot be written: File too large" in errors
    assert sorted(os.listdir()) == ["x.npy", "y.npy"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_standard_output_on_a_full_disk(more: list[str]) -> None:
    with open("/dev/full", "w") as full:
        code, _, errors = ended(start("", *OUTPUTS, *more, stdout=full))
    assert (code, errors) == (2, "fastloss: error: standard output: No space left on device\n")
    assert np.load("g.npy").shape == (40, 6)  # what was asked for is there, and whole
    assert "/dev/full: not a regular file" in refused("x.npy", "y.npy", "--weights", "/dev/full")


def test_a_reader_that_goes_away() -> None:
    read, write = os.pipe()
    os.close(read)
    code, _, errors = ended(start("", stdout=write))
    os.close(write)
    assert (code, errors) == (1, "")


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGHUP")
def test_a_terminal_that_goes_away() -> None:
    deed = HALFWAY.format(deed="os.kill(os.getpid(), signal.SIGHUP)")
    code, _, _ = ended(start(deed, *OUTPUTS))
    assert code == 128 + signal.SIGHUP
    assert sorted(os.listdir()) == ["x.npy", "y.npy"]
    ignored = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"  # as nohup does
    code, _, _ = ended(start(ignored + deed, *OUTPUTS))
    assert code == 0
    assert np.load("r.npy").shape == (40,)


@pytest.mark.parametrize("command", [["check"], ["evaluate", "x.npy", "y.npy", *SPARSE]])
def test_an_output_that_knows_ascii_alone(command: list[str]) -> None:
    """A narrow table, in which rich shortens what it shows by a sign that is not ASCII."""
    narrow = environment(PYTHONIOENCODING="ascii", COLUMNS="20")
    code, out, errors = ended(program(*command, env=narrow))
    assert code == 0
    assert (out + errors).isascii()


INTERRUPT = """
import signal, sys
class Finder:
    def find_spec(self, name, *_):
        if name == "fastloss.cli.commands":
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Finder())
"""


def test_an_interrupt_while_the_commands_are_loaded() -> None:
    assert ended(program("check", script=INTERRUPT)) == (130, "", "fastloss: interrupted\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_an_error_that_cannot_be_told() -> None:
    with open("/dev/full", "w") as full:
        process = program("evaluate", "x.npy", "gone.npy", *SPARSE, stdout=full, stderr=full)
        assert process.wait(300) == 2
