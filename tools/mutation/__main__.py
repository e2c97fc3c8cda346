"""`python -m tools.mutation`: try the mutants, print the survivors, write docs/mutation.md."""

import argparse
import os
import random
import sys
from dataclasses import replace
from pathlib import Path

os.environ["NUMBA_DISABLE_JIT"] = "1"  # before anything imports Numba

from tools.mutation import page, record
from tools.mutation.mutants import ROOT, Mutant, mutants
from tools.mutation.reach import Tests
from tools.mutation.trials import alone, quick

# What fits here: fast as plain Python, and in this process. Tests that start others would test the
# code as it is.
TESTS = [
    "engine/test_run.py",
    "facade/arguments/test_arrays.py",
    "facade/test_errors.py",
    "facade/test_functional.py",
    "facade/test_golden.py",
    "facade/arguments/test_layout.py",
    "facade/test_losses.py",
    "facade/test_reduction.py",
    "formats/test_npy.py",
    "project/test_cases.py",
    "selfcheck/test_reference.py",
]
LAST_PLACES = [
    "losses_near_the_smallest_normal_number_are_not_sums_of_subnormal_ones",
    "smoothed_and_weighted_answers_near_certainty[0-float32]",
    "smoothed_and_weighted_answers_near_certainty[1-float32]",
    "an_infinite_slope_is_infinite_whatever_it_is_multiplied_with",
    "an_enormous_factor_does_not_meet_the_answers",
    "answers_times_a_weight_may_be_beyond_all_numbers",
]
KERNEL_TESTS = [
    "engine/loops/test_targets.py",
    "engine/reductions/test_sum_rows.py",
    "engine/simd/test_deinterleave.py",
    "engine/simd/test_row_reduce.py",
    "engine/simd/test_transpose.py",
    "engine/test_edges.py",
    "engine/test_small_blocks.py",
    *(f"engine/losses/test_last_places.py::test_{name}" for name in LAST_PLACES),
    "engine/test_kernels.py::test_bad_label_writes_nothing",
    "engine/test_kernels.py::test_no_rows_and_no_classes",
    "engine/test_kernels.py::test_rows_left_out_and_scaled",
    "engine/test_kernels.py::test_tiny_and_huge_scales",
]
# `fl.check` in plain Python takes half a minute, too long to be among the tests of a mutant.
TOO_LONG = "engine/test_run.py::test_what_the_facade_launches_is_what_run_demands"
# The others have tests that start programs, or take too long in plain Python: reading files, the
# command line, the reports.
FACADE = ["arrays", "evaluate", "functional", "labels", "layout", "loss_base", "losses"]
FACADE += ["loss_specs", "reduction"]
# Nothing, or little, of these runs in plain Python: they compile, cache, or are made of machine
# instructions. The plain forms that stand beside those are what tests compare them with.
COMPILED = ["compiler", "simd", "launch", "memory/pack", "memory/streaming", "typing"]
# `make accuracy` tries every float32 input on these, and notices a unit in the last place.
EXHAUSTED = ["elementary/exp", "elementary/log", "elementary/log_core"]


def modules() -> dict[str, Path]:
    """Return the modules that are mutated, by "fastloss/name" and "kernels/folder/name"."""
    folder = ROOT / "kernels" / "fastloss_kernels"
    left_out = {"__init__", *COMPILED, *EXHAUSTED}
    found = {p.relative_to(folder).with_suffix(""): p for p in sorted(folder.rglob("*.py"))}
    kernels = {
        name.as_posix(): path
        for name, path in found.items()
        if not left_out & {name.as_posix(), name.parts[0], name.name}
    }
    return {f"fastloss/{name}": ROOT / "fastloss" / f"{name}.py" for name in FACADE} | {
        f"kernels/{name}": path for name, path in kernels.items()
    }


def arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.mutation",
        description="Change the code in small ways and see whether the tests notice; exit code 1 "
        "where a mutant survives that tools/mutation/explanations.toml does not explain.",
    )
    add = parser.add_argument
    add("modules", nargs="*", metavar="MODULE", help="such as fastloss/evaluate; default all")
    add("--sample", type=int, metavar="N", help="at most N mutants of each module, drawn")
    add("--seed", type=int, default=0, metavar="N", help="of what is drawn; default 0")
    add("--again", action="store_true", help="only the survivors that docs/mutation.json records")
    add("--write", action="store_true", help="write docs/mutation.json and docs/mutation.md")
    options = parser.parse_args()
    unknown = set(options.modules) - modules().keys()
    if unknown:
        parser.error(f"modules are {', '.join(modules())}; got {', '.join(sorted(unknown))}")
    return options


def chosen_mutants(
    name: str, found: list[Mutant], options: argparse.Namespace, known: record.Record
) -> list[Mutant]:
    """Return the mutants to try among those of a module."""
    if options.again:
        left = {s.key for s in known[name].survivors} if name in known else set()
        return [mutant for mutant in found if mutant.key in left]
    if options.sample is None or options.sample >= len(found):
        return found
    drawn = random.Random(f"{options.seed} {name}").sample(range(len(found)), options.sample)
    return [found[k] for k in sorted(drawn)]


def try_all(work: dict[Mutant, tuple[list[str], float]], tests: Tests) -> set[Mutant]:
    """Return the mutants that survive."""
    reached = [mutant for mutant, (names, _) in work.items() if names]
    left, undecided = quick([(mutant, *work[mutant]) for mutant in reached if mutant.function])
    undecided += [m for m in reached if not m.function] + [m for m in left if tests.loads(m)]
    left = [mutant for mutant in left if mutant not in set(undecided)]
    print(f"{len(undecided)} to be tried in processes of their own", file=sys.stderr, flush=True)
    left += [mutant for mutant in undecided if alone(mutant, *work[mutant])]
    return {*left, *(mutant for mutant, (names, _) in work.items() if not names)}


def main() -> int:
    """Run the command; return 1 where a survivor is not explained."""
    options = arguments()
    paths, why = modules(), page.explanations()
    known = {name: result for name, result in record.load().items() if name in paths}
    names = options.modules or list(known if options.again else paths)
    found = {name: mutants(paths[name]) for name in names}
    tried = {name: chosen_mutants(name, found[name], options, known) for name in names}
    facade = all(name.startswith("fastloss/") for name in names)
    chosen = [f"tests/{name}" for name in TESTS + ([] if facade else KERNEL_TESTS)]
    tests = Tests([*chosen, f"--deselect=tests/{TOO_LONG}"])
    work = {mutant: tests.of(mutant) for of_module in tried.values() for mutant in of_module}
    left = try_all(work, tests)
    results = {}
    for name in names:
        own = [mutant for mutant in tried[name] if mutant in left]
        survivors = record.survivors(own, {mutant for mutant in own if not work[mutant][0]})
        drawn = "All mutants" if len(tried[name]) == len(found[name]) else f"Seed {options.seed}"
        results[name] = record.Result(
            len(found[name]), len(tried[name]), drawn, record.here(), survivors
        )
        if options.again and name in known:
            results[name] = replace(known[name], survivors=survivors)
        for s in survivors:
            print(f"{s.key} {name}:{s.line} {s.function}: {why.get(s.key, 'NOT EXPLAINED')}")
            print(f"  - {s.before}\n  + {s.after}")
        print(f"{name}: {len(tried[name])} tried, {len(survivors)} survived", flush=True)
    if options.write:
        record.save(known | results)
        page.write(known | results, why)
    return int(any(s.key not in why for result in results.values() for s in result.survivors))


if __name__ == "__main__":
    sys.exit(main())
