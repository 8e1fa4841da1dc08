"""Small faults of a program, each made by one change of its syntax tree."""

import ast
import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
NAMES = {
    **{"min": "max", "minimum": "maximum", "reduce_min": "reduce_max", "fmin": "fmax"},
    **{"any": "all", "reduce_any": "reduce_all", "argmin": "argmax", "floor": "ceil"},
    **{"lower": "upper", "zeros_like": "ones_like", "logical_and": "logical_or"},
}
NAMES |= {other: name for name, other in NAMES.items()}
GUARDS = ("strict", "frozen")  # of zip and of dataclasses: without effect on correct programs


class Fault(NamedTuple):
    """A change at a line of a file. place: its number among the file's faults."""

    path: str
    line: int
    change: str
    place: int


def faults(path: Path, root: Path) -> list[Fault]:
    """All faults that can be planted in a file."""
    name, tree = str(path.relative_to(root)), ast.parse(path.read_text())
    return [
        Fault(name, node.lineno, change, place)
        for place, (node, change, _) in enumerate(_changes(tree))
    ]


def planted(source: str, fault: Fault) -> str:
    """The source with a fault in it."""
    tree = copy.deepcopy(ast.parse(source))
    _, _, apply = list(_changes(tree))[fault.place]
    apply()
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n"


Change = tuple[ast.expr | ast.stmt, str, Callable[[], None]]


def _changes(tree: ast.Module) -> Iterator[Change]:
    """Yields every node that can be changed, the change in words, and a function that makes it."""
    exempt = {id(part) for node in ast.walk(tree) for part in _exempt(node)}
    for node in ast.walk(tree):
        for kind, changes in KINDS:
            if isinstance(node, kind) and id(node) not in exempt:
                yield from changes(node)


def _compare(node: ast.Compare) -> Iterator[Change]:
    for i, operator in enumerate(node.ops):
        ops = [*node.ops]
        ops[i] = COMPARISONS[type(operator)]()
        yield node, *_replaced(node, "ops", ops)


def _arithmetic(node: ast.BinOp | ast.AugAssign) -> Iterator[Change]:
    if type(node.op) in ARITHMETIC:
        yield node, *_replaced(node, "op", ARITHMETIC[type(node.op)]())


def _logic(node: ast.BoolOp) -> Iterator[Change]:
    yield node, *_replaced(node, "op", ast.Or() if isinstance(node.op, ast.And) else ast.And())


def _unary(node: ast.UnaryOp) -> Iterator[Change]:
    """The change to a node without its minus, or without its `not`."""
    if isinstance(node.op, ast.USub):
        yield node, *_replaced(node, "op", ast.UAdd())
    elif isinstance(node.op, ast.Not):
        yield node, *_replaced(node, "operand", ast.UnaryOp(ast.Not(), node.operand))


def _constant(node: ast.Constant) -> Iterator[Change]:
    """The change of a truth value, a whole number (one more), or another one (a quarter of it)."""
    value = node.value
    if isinstance(value, bool):
        yield node, *_replaced(node, "value", not value)
    elif isinstance(value, int):
        yield node, *_replaced(node, "value", value + 1)
    elif isinstance(value, float):
        yield node, *_replaced(node, "value", value / 4 if value else 1.0)


def _named(node: ast.Attribute | ast.Name) -> Iterator[Change]:
    field = "attr" if isinstance(node, ast.Attribute) else "id"
    if getattr(node, field) in NAMES:
        yield node, *_replaced(node, field, NAMES[getattr(node, field)])


def _choice(node: ast.IfExp) -> Iterator[Change]:
    def apply() -> None:
        node.body, node.orelse = node.orelse, node.body

    yield node, "the other value", apply


KINDS: tuple[tuple[Any, Callable[[Any], Iterator[Change]]], ...] = (
    (ast.Compare, _compare),
    ((ast.BinOp, ast.AugAssign), _arithmetic),
    (ast.BoolOp, _logic),
    (ast.UnaryOp, _unary),
    (ast.Constant, _constant),
    ((ast.Attribute, ast.Name), _named),
    (ast.IfExp, _choice),
)


def _exempt(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a node that only word an error, annotate or guard: no figure depends on them."""
    parts: list[ast.AST] = []
    if isinstance(node, ast.Raise | ast.JoinedStr):
        parts = [node]
    elif isinstance(node, ast.arg | ast.AnnAssign) and node.annotation:
        parts = [node.annotation]
    elif isinstance(node, ast.FunctionDef) and node.returns:
        parts = [node.returns]
    elif isinstance(node, ast.keyword) and node.arg in GUARDS:
        parts = [node.value]
    for part in parts:
        yield from ast.walk(part)


def _replaced(node: ast.AST, name: str, value: object) -> tuple[str, Callable[[], None]]:
    changed = copy.copy(node)
    setattr(changed, name, value)

    def apply() -> None:
        setattr(node, name, value)

    return f"{_text(node)} -> {_text(changed)}", apply


def _text(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 90 else f"{text[:87]}..."
