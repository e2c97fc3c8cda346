"""The mutants of a module: cosmic-ray's operators, without those that say the same twice."""

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

ROOT = Path(__file__).parents[2]
Lines = tuple[int, int]

# Each operator has the neighbours it is most easily mistaken for. cosmic-ray would try all others
# as well: eleven for a `+`, which die of the same test.
OTHERS = {
    "ReplaceBinaryOperator": """Add_Sub Sub_Add Mul_Div Div_Mul FloorDiv_Mul FloorDiv_Mod
        Mod_FloorDiv Pow_Mul RShift_LShift LShift_RShift BitOr_BitAnd BitAnd_BitOr BitXor_BitAnd""",
    "ReplaceComparisonOperator": """Eq_NotEq NotEq_Eq Lt_LtE Lt_GtE LtE_Lt LtE_Gt Gt_GtE Gt_LtE
        GtE_Gt GtE_Lt Is_IsNot IsNot_Is""",
    "ReplaceUnaryOperator": "UAdd_USub Delete_USub Delete_Invert Delete_Not",
}
OPERATORS = (
    *(f"{kind}_{pair}" for kind, pairs in OTHERS.items() for pair in pairs.split()),
    "AddNot",
    "ReplaceTrueWithFalse",
    "ReplaceFalseWithTrue",
    "ReplaceAndWithOr",
    "ReplaceOrWithAnd",
    "ReplaceBreakWithContinue",
    "ReplaceContinueWithBreak",
    "ExceptionReplacer",
    "NumberReplacer",
    "RemoveDecorator",
    "ZeroIterationForLoop",
)


@dataclass(frozen=True)
class Mutant:
    """One change of one module."""

    module: str
    """The name it is imported by."""
    path: str
    """Its file, from the root."""
    function: str
    """The outermost function that is changed inside, as "f" or "Class.f"; "" for anything else."""
    before: str
    """The lines that are changed, as they are."""
    after: str
    """The lines in their place."""
    lines: Lines
    """First and last line of the statement that is changed."""
    source: str
    """The whole module, changed."""
    which: int = 0
    """Tells mutants of equal lines in one function apart."""

    @property
    def key(self) -> str:
        """Return what the mutant is known by while its own lines and the function's name stay."""
        text = "\n".join((self.path, self.function, self.before, self.after, str(self.which)))
        return hashlib.sha256(text.encode()).hexdigest()[:10]


def mutants(path: Path) -> list[Mutant]:
    """Return all mutants of the module in `path`, each once."""
    source = path.read_text(encoding="utf-8")
    compiled = ROOT / "kernels" in path.parents
    module = ".".join(
        path.relative_to(ROOT / "kernels" if compiled else ROOT).with_suffix("").parts
    )
    place = path.relative_to(ROOT).as_posix()
    tree = ast.parse(source)
    seen, found = set(), list[Mutant]()
    numbers: dict[tuple[str, ...], Iterator[int]] = {}
    for line, column, changed in sorted(_changes(source, tree, decorators=not compiled)):
        if changed in seen:
            continue
        seen.add(changed)
        function, lines = _place(tree, line, column)
        before, after = _difference(source, changed)
        which = next(numbers.setdefault((function, before, after), count()))
        found.append(Mutant(module, place, function, before, after, lines, changed, which))
    return found


def _changes(source: str, tree: ast.Module, decorators: bool) -> Iterator[tuple[int, int, str]]:
    """Yield line and column of every change and the module with it.

    Annotations are left alone: nothing reads them. So are the decorators of kernels, which say how
    to compile and do nothing in plain Python.
    """
    silent = [_span(part) for part in _annotations(tree)]
    nodes = list(ast_nodes(get_ast(source)))
    for name in OPERATORS:
        if name == "RemoveDecorator" and not decorators:
            continue
        operator = get_operator(f"core/{name}")()
        places = (start for node in nodes for start, _ in operator.mutation_positions(node))
        for occurrence, (line, column) in enumerate(places):
            if any(first <= (line, column) < last for first, last in silent):
                continue
            changed = mutate_code(source, operator, occurrence)
            if changed is not None and _differs(changed, source):
                yield line, column, changed


def _annotations(tree: ast.Module) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.returns is not None:
            yield node.returns
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
            yield node.annotation
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation) == "TypeAlias":
            yield node.value or node.annotation


def _span(node: ast.expr) -> tuple[tuple[int, int], tuple[int, int]]:
    end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
    return (node.lineno, node.col_offset), (end_line, end_column)


def _differs(changed: str, source: str) -> bool:
    """Return whether the change is legal Python that says something else."""
    try:
        compile(changed, "mutant", "exec")
    except SyntaxError:
        return False
    return ast.dump(ast.parse(changed)) != ast.dump(ast.parse(source))


def _place(tree: ast.Module, line: int, column: int) -> tuple[str, Lines]:
    """Return the outermost function with this place in its body, and the statement's lines."""
    names: list[str] = []
    function, lines = "", (line, line)
    body: list[ast.stmt] = tree.body
    while body:
        inside = [s for s in body if _first_line(s) <= line <= (s.end_lineno or s.lineno)]
        if not inside:
            break
        statement, body = inside[0], _bodies(inside[0])
        last = min((s.lineno for s in body), default=(statement.end_lineno or 0) + 1) - 1
        lines = (statement.lineno, max(last, statement.lineno))
        if line <= last:  # in the head: a default or a decorator is no part of the function
            break
        if isinstance(statement, ast.ClassDef | ast.FunctionDef) and not function:
            names.append(statement.name)
            function = ".".join(names) if isinstance(statement, ast.FunctionDef) else ""
    return function, lines


def _first_line(statement: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(d.lineno for d in decorators)])


def _bodies(statement: ast.stmt) -> list[ast.stmt]:
    """Return the statements inside a statement."""
    inside = list(getattr(statement, "body", []))
    for handler in getattr(statement, "handlers", []):
        inside += handler.body
    return inside + getattr(statement, "orelse", []) + getattr(statement, "finalbody", [])


def _difference(old: str, new: str) -> tuple[str, str]:
    """Return the lines that differ, of both, without what is around them."""
    before, after = old.splitlines(), new.splitlines()
    while before and after and before[0] == after[0]:
        del before[0], after[0]
    while before and after and before[-1] == after[-1]:
        del before[-1], after[-1]
    return "\n".join(map(str.strip, before)), "\n".join(map(str.strip, after))
