"""`python -m accuracy`: measure, print what is found as it is found, write docs/accuracy.md."""

from collections import defaultdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from accuracy import elementary, losses, peers, report, sweeping
from accuracy.sweeping import Found
from tools.fill_readme import fill

PAGE = Path(__file__).parent.parent / "docs" / "accuracy.md"
#: Quick: every so many-th chunk of the float32 numbers, inputs searched, share of the rows.
FULL, QUICK = (1, 50_000_000, 1.0), (500, 500_000, 0.01)


class Part(StrEnum):
    """What can be measured on its own."""

    ELEMENTARY = "elementary"
    LOSSES = "losses"
    ALL = "all"


def main(
    part: Annotated[Part, typer.Option(help="What to measure.")] = Part.ALL,
    seed: Annotated[int, typer.Option(help="Seed of all that is drawn.")] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="A small share of it all.")] = False,
    loss: Annotated[str, typer.Option(help="Only losses whose name begins so.")] = "",
    with_peers: Annotated[bool, typer.Option("--peers/--no-peers", help="Judge them too.")] = True,
    write: Annotated[bool, typer.Option("--write", help="Write docs/accuracy.md.")] = False,
) -> None:
    """Measure the errors of the elementary functions and of the losses; exit 1 over a goal."""
    every, inputs, share = QUICK if quick else FULL
    what = f"seed {seed}" + (
        f", a quick run: 1 in {every} numbers, {share:.0%} of the rows" if quick else ""
    )
    blocks, met = {}, True
    if part != Part.LOSSES:
        searched = _elementary(seed, every, inputs, with_peers)
        met &= all(found[report.OURS].within(elementary.GOAL) for found in searched.values())
        blocks["elementary"] = report.elementary_table(searched, what)
    if part != Part.ELEMENTARY:
        results = _losses(seed, share, loss, with_peers)
        own = [result for result in results if result.library == report.OURS]
        met &= all(result.within(losses.GOAL) for result in own)
        blocks["losses"] = report.loss_table(results, what)
        blocks["peers"] = report.peer_table(results, what)
    if write:
        text = PAGE.read_text(encoding="utf-8")
        for name, content in blocks.items():
            text = fill(text, name, content)
        PAGE.write_text(text, encoding="utf-8")
    else:
        print(*blocks.values(), sep="\n\n")
    if not met:
        raise typer.Exit(1)


def _elementary(seed: int, every: int, inputs: int, with_peers: bool) -> report.Searched:
    searched: defaultdict[tuple[str, str], dict[str, Found]] = defaultdict(dict)

    def tell(function: elementary.Function, dtype: str, library: str, found: Found) -> None:
        searched[function.name, dtype][library] = found
        print(f"{function.name}, {dtype}, {library}: {found}", flush=True)
        if library == report.OURS:
            sweeping.judge_again(function, dtype, found)

    for function in elementary.FUNCTIONS:
        for dtype in losses.DTYPES:
            if dtype == "float32" and function.second:
                computes = {report.OURS: sweeping.engine(function)}
                if with_peers and function.peer:
                    computes |= peers.elementary(function.peer)
                swept = sweeping.sweep(function, list(computes.values()), every)
                for library, found in zip(computes, swept, strict=True):
                    tell(function, dtype, library, found)
            else:
                rng = np.random.default_rng(seed)
                tell(function, dtype, report.OURS, sweeping.search(function, dtype, inputs, rng))
    return searched


def _losses(seed: int, share: float, loss: str, with_peers: bool) -> list[losses.Result]:
    computes = {report.OURS: losses.ours} | (peers.losses() if with_peers else {})
    results = []
    for result in losses.measure(seed, share, computes, loss):
        results.append(result)
        if result.library == report.OURS:
            print(
                f"{result.case}, {result.dtype}:\n  {result.loss}\n  {result.gradient}", flush=True
            )
    return results


if __name__ == "__main__":
    typer.run(main)
