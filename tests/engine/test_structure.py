"""The engine's floors: imports lead downwards, and nothing grows beyond what a reader can hold.

Read from the source alone: nothing is imported, nothing compiled.
"""

import ast
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import fastloss_kernels
import pytest

ROOT = Path(fastloss_kernels.__file__).parent
# Each may import those on its right. Files beside the folders are named like folders.
ORDER = [
    "__init__ run launch variants",
    "losses",
    "loops",
    "reductions",
    "memory elementary",
    "simd",
]
ORDER += ["compiler", "overlap", "tuning typing"]
FLOOR = {name: floor for floor, names in enumerate(ORDER) for name in names.split()}
FLAT = ["first", "last", "x", "targets", "options", "scale", "keep", "loss", "grad"]
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in sorted(ROOT.rglob("*.py"))
}
every_file = pytest.mark.parametrize("name", FILES)


@cache
def tree(name):
    return ast.parse(FILES[name].read_text(encoding="utf-8"))


def nodes(name, kind):
    return (node for node in ast.walk(tree(name)) if isinstance(node, kind))


def imported(name):
    """Return the dotted names that a file imports, at its top or in a function."""
    found = {alias.name for node in nodes(name, ast.Import) for alias in node.names}
    for node in nodes(name, ast.ImportFrom):
        assert node.level == 0, "relative imports are not followed"
        found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def imports(name):
    """Return the files of the engine that a file of the engine imports."""
    own = [full for full in imported(name) if full.startswith("fastloss")]
    own = [full.removeprefix("fastloss_kernels.") for full in own]
    found = {full if full in FILES else full.rpartition(".")[0] for full in own}
    assert found <= FILES.keys()
    return found - {name}


def room(name):
    return name.partition(".")[0]


@every_file
def test_imports_lead_downwards(name):
    """Within a folder any way that is no circle; between folders never back nor sideways."""
    rooms = {room(other) for other in imports(name)} - {room(name)}
    allowed = {other for other in FLOOR if FLOOR[other] > FLOOR[room(name)]}
    allowed |= {"__init__": {"run"}, "run": {"launch"}, "variants": {"launch"}}.get(name, set())
    assert rooms <= allowed


def test_the_kernels_are_imported_when_they_are_asked_for():
    assert imports("__init__") == {"run"}


def floors():
    """Return how many floors each file stands above those that import nothing of the engine."""
    found, below = {}, {name: imports(name) for name in FILES}
    for name in TopologicalSorter(below).static_order():  # raises CycleError
        found[name] = 1 + max((found[other] for other in below[name]), default=0)
    return found


def test_no_import_leads_back_to_where_it_came_from():
    assert floors().keys() == FILES.keys()


@every_file
def test_what_makes_machine_code_stays_below(name):
    """llvmlite in simd/ and compiler/, Numba's decorator and its options in compiler/jit.py."""
    found = imported(name)
    found |= {ast.unparse(node) for node in nodes(name, ast.Attribute)}
    roots = {full.partition(".")[0] for full in found}
    assert "llvmlite" not in roots or room(name) in ("simd", "compiler")
    assert not found & {"numba.njit", "numba.jit"} or name == "compiler.jit"
    assert "numba.prange" not in found or name in ("compiler.jit", "loops.kernel")


def is_kernel(function):
    called = (d.func for d in function.decorator_list if isinstance(d, ast.Call))
    return any(isinstance(f, ast.Name) and f.id == "kernel" for f in called)


class TestSizes:
    """What a reader can hold: 11 floors, 230 lines a file, 8 parameters a function.

    More than 8 have the public kernels, `run`, and the parts, which have one signature.
    """

    def test_floors(self):
        assert max(floors().values()) <= 11

    @every_file
    def test_lines(self, name):
        assert len(FILES[name].read_text(encoding="utf-8").splitlines()) <= 230

    @every_file
    def test_parameters(self, name):
        for function in nodes(name, ast.FunctionDef | ast.AsyncFunctionDef):
            a = function.args
            names = [
                p.arg for p in (*a.posonlyargs, *a.args, *a.kwonlyargs, a.vararg, a.kwarg) if p
            ]
            fits = len(names) <= 8 or names == FLAT or is_kernel(function)
            assert fits or (name, function.name) == ("run", "run"), (function.name, names)
