"""What docs/mutation.md says."""

import tomllib
from collections.abc import Sequence
from pathlib import Path

from tools.mutation.mutants import ROOT
from tools.mutation.record import Record, Survivor

PAGE = ROOT / "docs" / "mutation.md"
EXPLANATIONS = Path(__file__).parent / "explanations.toml"
OPEN = "**Not explained yet: a hole in the tests until it is.**"
HEAD = """# What the tests would not notice

`make mutation` writes this page. It changes the code in one small way after the other (another
operator, a number more by one, a condition the wrong way round) and runs the tests that reach the
changed line, with the kernels as plain Python. The change is a *mutant*; a test that fails *kills*
it. What survives is listed with the reason, or is a hole in the tests. After tests were added the
survivors alone may have been tried again (`--again`): what was killed before counts as killed.

The tests are those that are fast in plain Python and run in one process; from every test function
that reaches a line the fastest case comes first, up to 15 seconds of them. So a survivor may still
die of a slower test, of a test of compiled code, or of the exhaustive ones of `make hardening` and
`make accuracy`. Not tried are modules about compiling, caches, threads and the machine's registers,
which do nothing in plain Python; the exponentials and logarithms, of which `make accuracy` tries
every float32 input; and of the facade what reads files, prints and reports, whose tests start
programs or take long.

"""


def explanations() -> dict[str, str]:
    """Return why a mutant survives, by its key."""
    entries = tomllib.loads(EXPLANATIONS.read_text(encoding="utf-8"))["survivor"]
    return {key: entry["why"] for entry in entries for key in entry["keys"]}


def write(record: Record, why: dict[str, str]) -> None:
    """Write the page."""
    PAGE.write_text(
        HEAD + _table(record, why) + _survivors(record, why) + _runs(record), encoding="utf-8"
    )


def _table(record: Record, why: dict[str, str]) -> str:
    lines = [
        "| module | mutants | tried | killed | explained | open | killed or explained |",
        "|---|---|---|---|---|---|---|",
    ]
    sums = [0] * 5
    for name, result in sorted(record.items()):
        explained = sum(survivor.key in why for survivor in result.survivors)
        left = len(result.survivors)
        row = [result.mutants, result.tried, result.tried - left, explained, left - explained]
        sums = [a + b for a, b in zip(sums, row, strict=True)]
        lines.append(_row(f"`{name}`", row))
    return "\n".join([*lines, _row("all", sums), "", ""])


def _row(name: str, numbers: Sequence[int]) -> str:
    _, tried, _, _, left = numbers
    score = f"{(tried - left) / tried:.1%}" if tried else "-"
    return f"| {name} | {' | '.join(map(str, numbers))} | {score} |"


def _survivors(record: Record, why: dict[str, str]) -> str:
    """Return the survivors of each module, those of one explanation together."""
    parts = []
    for name, result in sorted(record.items()):
        groups: dict[str, list[Survivor]] = {}
        for survivor in result.survivors:
            groups.setdefault(why.get(survivor.key, OPEN), []).append(survivor)
        if groups:
            parts.append(f"## {name}\n")
        for reason, members in groups.items():
            parts.append(f"{reason}\n\n```diff\n{''.join(map(_diff, members))}```\n")
    return "\n".join([*parts, ""])


def _diff(survivor: Survivor) -> str:
    place = survivor.function or "module"
    note = "" if survivor.reached else " (no test of these reaches it)"
    return "".join(
        [
            f"@@ {place}, {survivor.key}{note}\n",
            *(f"- {line}\n" for line in survivor.before.splitlines() if line),
            *(f"+ {line}\n" for line in survivor.after.splitlines() if line),
        ]
    )


def _runs(record: Record) -> str:
    runs: dict[tuple[str, str], list[str]] = {}
    for name, result in sorted(record.items()):
        runs.setdefault((result.run, result.drawn), []).append(f"`{name}`")
    lines = [f"- {run}. {drawn}: {', '.join(names)}.\n" for (run, drawn), names in runs.items()]
    return "## The runs\n\n" + "".join(lines)
