"""`python -m benchmarks.accuracy`: measure, print what is found at once, fill docs/accuracy.md."""

import argparse
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from benchmarks.accuracy import elementary, losses, peers, report, sweeping
from benchmarks.accuracy.found import Found
from tools.fill_docs import fill

PAGE = Path(__file__).parents[2] / "docs" / "accuracy.md"
#: Every so many-th chunk of the float32 numbers, inputs searched, share of the rows.
FULL, QUICK = (1, 50_000_000, 1.0), (500, 500_000, 0.01)
PARTS = ("elementary", "losses")


def arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy",
        description="Measure the errors of the elementary functions, the losses and the gradients; "
        "exit code 1 where a goal is missed.",
    )
    add = parser.add_argument
    add("--seed", type=int, default=0, metavar="N", help="of all that is drawn; default 0")
    add("--quick", action="store_true", help="a small share of it all: a trial")
    add("--part", choices=PARTS, help="only the one or the other")
    add("--loss", default="", metavar="NAME", help="only losses whose name begins so")
    add("--no-peers", action="store_true", help="fastloss alone")
    add("--write", action="store_true", help="fill docs/accuracy.md with the result")
    chosen = parser.parse_args()
    if chosen.write and (chosen.quick or chosen.loss):
        parser.error("--write publishes whole runs: not with --quick or --loss")
    return chosen


def main() -> int:
    """Run the command; return 1 where a goal is missed."""
    chosen = arguments()
    every, inputs, share = QUICK if chosen.quick else FULL
    what = f"seed {chosen.seed}"
    if chosen.quick:
        what += f", a trial on one in {every} numbers and {share:.0%} of the rows"
    blocks, met = {}, True
    if chosen.part != "losses":
        searched = _elementary(chosen.seed, every, inputs, not chosen.no_peers)
        for function in elementary.FUNCTIONS:
            found = (searched[function.name, dtype][report.OURS] for dtype in losses.DTYPES)
            met &= all(one.within(function.goal) for one in found)
        blocks["elementary"] = report.elementary_table(searched, what)
    if chosen.part != "elementary":
        results = _losses(chosen.seed, share, chosen.loss, not chosen.no_peers)
        own = [result for result in results if result.library == report.OURS]
        met &= not any(result.over() for result in own)
        blocks["losses"] = report.loss_table(results, what)
        blocks["peers"] = report.peer_table(results, what)
    print(*blocks.values(), sep="\n\n")
    if chosen.write:
        text = PAGE.read_text(encoding="utf-8")
        for name, content in blocks.items():
            text = fill(text, name, content)
        PAGE.write_text(text, encoding="utf-8")
    return 0 if met else 1


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
    sys.exit(main())
