"""Whether two trees return the same bits, case by case."""

import json
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .trees import Tree, finish

SHOWN = 20  # mismatches whose first element is looked for
Digests = dict[str, dict[str, str]]  # case -> result -> digest


def compare(old: Tree, new: Tree, only: list[str], together: bool) -> bool:
    """Print what differs; return whether nothing does."""
    before, now = _digests((old, new), only, together)
    wrong = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if wrong:
        _explain(old, new, wrong)
    count = sum(map(len, now.values()))
    kinds = sum("error" in results for results in now.values())
    print(f"{len(now):,} cases, {count:,} digests ({kinds} of them errors): {len(wrong):,} differ")
    if not now:
        print("no case was compared")
    return bool(now) and not wrong


def _digests(trees: tuple[Tree, Tree], only: list[str], together: bool) -> list[Digests]:
    arguments = [f"--only={part}" for part in only]
    workers: list[subprocess.Popen[str]] = []
    found: list[Digests] = []
    for tree in trees:
        workers.append(tree.start("bits", *arguments))
        if not together:
            found.append(_read(workers[-1]))
    if together:
        found = _read_all(workers)
    return found


def _read(worker: subprocess.Popen[str]) -> Digests:
    assert worker.stdout is not None
    found: Digests = {}
    for line in map(json.loads, worker.stdout):
        found[line["name"]] = line["digests"]
    finish(worker, f" after the case {list(found)[-1]}" if found else "")
    return found


def _read_all(workers: list[subprocess.Popen[str]]) -> list[Digests]:
    """Read several pipes at once, so that no worker waits for another."""
    with ThreadPoolExecutor(len(workers)) as readers:
        return list(readers.map(_read, workers))


def _explain(old: Tree, new: Tree, wrong: list[str]) -> None:
    """Print each case that differs, and of the first some where."""
    shown = wrong[:SHOWN]
    with tempfile.TemporaryDirectory() as place:
        saved = []
        for tree in (old, new):
            directory = Path(place, tree.name)
            directory.mkdir()
            worker = tree.start("dump", f"--directory={directory}", stdin=subprocess.PIPE)
            worker.communicate(json.dumps(shown))
            finish(worker)
            saved.append(directory)
        for k, name in enumerate(shown):
            before, now = (dict(np.load(directory / f"{k}.npz")) for directory in saved)
            print(f"{name}\n    {first_difference(before, now)}")
    for name in wrong[SHOWN:]:
        print(name)


def first_difference(before: dict[str, NDArray[Any]], now: dict[str, NDArray[Any]]) -> str:
    """Return in words where two results differ first."""
    if before.keys() != now.keys() or "error" in before:
        return "; ".join(
            f"{tree}: {found.get('error', ', '.join(found) or 'no such case')}"
            for tree, found in (("old", before), ("new", now))
        )
    for what, was in before.items():
        there = now[what]
        if (was.shape, was.dtype) != (there.shape, there.dtype):
            return f"{what}: old {was.dtype} {was.shape}, new {there.dtype} {there.shape}"
        if was.dtype.kind not in "fiu":
            apart = was != there
        else:
            raw = f"u{was.dtype.itemsize}"
            apart = was.reshape(-1).view(raw) != there.reshape(-1).view(raw)
        if np.any(apart):
            at = int(np.flatnonzero(apart)[0])
            where = tuple(int(n) for n in np.unravel_index(at, was.shape))
            pair = f"old {was.reshape(-1)[at]!s}, new {there.reshape(-1)[at]!s}"
            return f"{what}{list(where)}: {pair}; {int(np.sum(apart)):,} of {was.size:,} differ"
    return "the results differ from run to run: this time they were the same"
