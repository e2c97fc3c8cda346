"""What every module's last run found: docs/mutation.json."""

import json
import platform
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, field
from datetime import date
from importlib import metadata

import llvmlite.binding as llvm

from tools.mutation.mutants import ROOT, Mutant

RECORD = ROOT / "docs" / "mutation.json"


@dataclass
class Survivor:
    """A mutant that no test killed."""

    key: str
    function: str
    line: int
    before: str
    after: str
    reached: bool
    """Whether any test runs the line."""


@dataclass
class Result:
    """What came out for a module."""

    mutants: int
    tried: int
    drawn: str
    """How those tried were chosen among the mutants."""
    run: str
    """When and where."""
    survivors: list[Survivor] = field(default_factory=list)


Record = dict[str, Result]


def load() -> Record:
    """Return what is recorded, by module."""
    if not RECORD.exists():
        return {}
    entries = json.loads(RECORD.read_text(encoding="utf-8"))
    return {
        name: Result(**{**entry, "survivors": [Survivor(**s) for s in entry["survivors"]]})
        for name, entry in entries.items()
    }


def save(record: Record) -> None:
    """Write the record."""
    entries = {name: asdict(result) for name, result in sorted(record.items())}
    RECORD.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")


def survivors(mutants: Iterable[Mutant], unreached: Collection[Mutant]) -> list[Survivor]:
    """Return these mutants as they are recorded."""
    return [
        Survivor(m.key, m.function, m.lines[0], m.before, m.after, m not in unreached)
        for m in mutants
    ]


def here() -> str:
    """Return the day and what the tests ran on."""
    names = ("fastloss", "numpy", "numba", "cosmic-ray")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in names)
    processor = f"{platform.system()} {platform.machine()} ({llvm.get_host_cpu_name()})"
    return f"{date.today()}, python {platform.python_version()}, {versions}, {processor}"
