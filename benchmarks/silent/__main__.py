"""`python -m benchmarks.silent [--write]`: run every cell, print the tables, fill the pages."""

import argparse
from pathlib import Path

from tools.fill_docs import fill

from . import page
from .cells import Cell, installed, run
from .inputs import INPUTS
from .libraries import LIBRARIES

ROOT = Path(__file__).parents[2]


def cells(libraries: list[str]) -> list[Cell]:
    """Return every cell, and print each as it comes."""
    found = []
    for library in libraries:
        for cell in run(library, [entry.name for entry in INPUTS]):
            print(f"{cell.library}, {cell.input.title}: {cell.word}", flush=True)
            found.append(cell)
    return found


def main() -> None:
    """Run; with --write fill docs/silent.md, and README.md if it has the marks."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.silent", description=__doc__)
    parser.add_argument("--write", action="store_true", help="fill docs/silent.md and README.md")
    write, libraries = parser.parse_args().write, installed()
    if write and (missing := LIBRARIES.keys() - set(libraries)):
        parser.error(f"--write publishes every column; not installed: {', '.join(sorted(missing))}")
    found = cells(libraries)
    print(page.full(found))
    if write:
        for name, table in (("docs/silent.md", page.full(found)), ("README.md", page.short(found))):
            text = (ROOT / name).read_text(encoding="utf-8")
            if name != "README.md" or "<!-- silent:begin -->" in text:
                (ROOT / name).write_text(fill(text, "silent", table), encoding="utf-8")


if __name__ == "__main__":
    main()
