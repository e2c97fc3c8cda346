"""Write into README.md and docs/ what our own programs print: no figure is typed by hand.

Each block between `<!-- NAME:begin -->` and `<!-- NAME:end -->` is replaced by what the function of
that name in BLOCKS returns on this machine. `make figures` fills all of them.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from collections import defaultdict
from datetime import date
from pathlib import Path

import fastloss as fl
from fastloss.cli.doctor import examine
from fastloss.selfcheck.check import FLOAT64_REFERENCE

ROOT = Path(__file__).parent.parent


def evaluate() -> str:
    """Return the command line's table for the digits, below the command."""
    command = (
        "evaluate examples/digits/logits.npy examples/digits/labels.npy"
        " --loss sparse_categorical_crossentropy --from-logits"
    )
    program = Path(sys.executable).parent / "fastloss"
    run = [str(program), *command.split()]
    printed = subprocess.run(run, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    printed = re.sub(r"(?<=speed)( +)[\d.]+ ", r"\1... ", printed)  # a test compares the rest
    lines = (line.rstrip() for line in printed.splitlines())
    return "\n".join(["```console", f"$ fastloss {command}", *filter(None, lines), "```"])


def check() -> str:
    """Return a table of the largest errors that `fastloss check` finds, by loss and dtype."""
    worst: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for entry in fl.check().entries:
        if entry.source == FLOAT64_REFERENCE:
            loss, *_, dtype = entry.what.split(", ")
            worst[loss][dtype] = max(worst[loss].get(dtype, 0.0), float(entry.computed))
    lines = [f"| `{loss}` | {e['float32']:.1e} | {e['float64']:.1e} |" for loss, e in worst.items()]
    head = ["| largest error in `fastloss check` | float32 | float64 |", "|---|---|---|"]
    return "\n".join(
        [*head, *lines, "", f"Measured {date.today()} by `make figures`: {_machine()}."]
    )


def sizes() -> str:
    """Return a table of what each extra brings, and how much of the disk it takes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    names = ", ".join(re.findall(r"^\w+", "\n".join(project["dependencies"]), re.MULTILINE))
    alone = _installed_megabytes("")
    lines = ["| install | brings | MB |", "|---|---|---|", f"| `.` | {names} | {alone:.0f} |"]
    for extra, needed in project["optional-dependencies"].items():
        brought = ", ".join(re.match(r"[\w-]+(\[[\w,]+\])?", one).group() for one in needed)  # type: ignore[union-attr]
        more = _installed_megabytes(f"[{extra}]") - alone
        lines.append(f"| `.[{extra}]` | {brought} | + {more:.0f} |")
    return "\n".join(
        [*lines, "", f"With all that they need; {date.today()}, by `make figures`: {_machine()}."]
    )


def _installed_megabytes(extra: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
        subprocess.run([*pip, "--target", folder, f"{ROOT}{extra}"], check=True)
        return sum(path.stat().st_size for path in Path(folder).rglob("*")) / 1e6


def _machine() -> str:
    """Return versions and processor, for whoever reads a figure."""
    found = examine()
    versions = (f"{name} {found['versions'][name]}" for name in ("python", "numpy", "numba"))
    return ", ".join([*versions, f"{found['processor']['system']} ({found['processor']['name']})"])


BLOCKS = {
    "README.md": [sizes],
    "docs/accuracy.md": [check],
    "docs/reference/evaluate.md": [evaluate],
}


def fill(text: str, name: str, content: str) -> str:
    """Return `text` with the block called `name` holding `content` and nothing else."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    block = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    filled, count = block.subn(lambda _: f"{begin}\n\n{content}\n\n{end}", text)
    if count != 1:
        raise SystemExit(f"there must be exactly one block {begin} ... {end}, found {count}")
    return filled


def main() -> None:
    """Fill every block, or of one file those of the file that the command line names."""
    for name in sys.argv[1:] or BLOCKS:
        path = ROOT / name
        text = path.read_text(encoding="utf-8")
        for block in BLOCKS[name]:
            text = fill(text, block.__name__, block())
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
