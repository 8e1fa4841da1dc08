"""Draws the rooms of the code and which ones each uses, from its imports: docs/architecture.svg.

python docs/draw_architecture.py
"""

import ast
import random
from collections.abc import Iterator
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "architecture.svg"
# Rooms that all others may use, in one box.
GROUND = ("command_line", "domain", "errors", "exactly", "files", "folders", "notes", "numbers")
GROUND += ("replicas",)
TOP = ("pipelines", "benchmarks")
FLOOR = 0.75  # inches


def room(dotted: str) -> str | None:
    """The room of a module's name; None for other packages."""
    parts = dotted.split(".")
    if parts[0] in TOP:
        return parts[0]
    if parts[0] != "rt_tf" or len(parts) < 2:
        return None
    return "ground" if parts[1] in GROUND else parts[1]


def imported(path: Path) -> Iterator[str]:
    """Dotted names of what a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def uses() -> dict[str, set[str]]:
    """By room, the rooms that its files import from."""
    edges: dict[str, set[str]] = {}
    for path in sorted([*ROOT.glob("rt_tf/*/**/*.py"), *ROOT.glob("rt_tf/*.py")]):
        _add(edges, path)
    for name in TOP:
        for path in sorted(ROOT.glob(f"{name}/**/*.py")):
            _add(edges, path)
    return edges


def _add(edges: dict[str, set[str]], path: Path) -> None:
    own = room(".".join(path.relative_to(ROOT).with_suffix("").parts))
    if own is None or own == "__init__":
        return
    others = {room(dotted) for dotted in imported(path)} - {own, None, "__init__", "__version__"}
    edges.setdefault(own, set()).update(other for other in others if other in _rooms())


def _rooms() -> set[str]:
    folders = {path.parent.name for path in ROOT.glob("rt_tf/*/__init__.py")}
    files = {path.stem for path in ROOT.glob("rt_tf/*.py")} - {*GROUND, "__init__"}
    return {*folders, *files, *TOP, "ground"}


def floors(edges: dict[str, set[str]]) -> dict[str, int]:
    """The floor of each room: one above the highest of those that it uses."""
    heights: dict[str, int] = {}

    def height(name: str) -> int:
        if name not in heights:
            heights[name] = 1 + max(map(height, edges.get(name, ())), default=-1)
        return heights[name]

    for name in sorted({*edges, *(other for used in edges.values() for other in used)}):
        height(name)
    return heights


def direct(edges: dict[str, set[str]]) -> set[tuple[str, str]]:
    """The edges that no longer way stands for."""

    def below(name: str) -> set[str]:
        return {x for used in edges.get(name, ()) for x in {used, *below(used)}}

    return {
        (name, used)
        for name, others in edges.items()
        for used in others
        if not any(used in below(other) for other in others - {used})
    }


def places(edges: dict[str, set[str]], tries: int = 4000) -> dict[str, tuple[float, float]]:
    """Where each room stands: the best of some random orders, by the lines behind other rooms."""
    heights, lines, rng = floors(edges), direct(edges), random.Random(0)
    rows = [
        sorted(n for n, h in heights.items() if h == k) for k in range(max(heights.values()) + 1)
    ]

    def drawn() -> dict[str, tuple[float, float]]:
        spots = {}
        for floor, row in enumerate(rows):
            slots = sorted(rng.sample(range(6), len(row)))
            for name, slot in zip(rng.sample(row, len(row)), slots, strict=True):
                spots[name] = (1.55 * slot + 0.7, FLOOR * floor)
        return spots

    return min((drawn() for _ in range(tries)), key=lambda spots: _cost(spots, lines))


def _cost(spots: dict[str, tuple[float, float]], lines: set[tuple[str, str]]) -> float:
    """How many rooms lines pass behind, and then how long the lines are."""
    hidden, length = 0, 0.0
    for upper, lower in lines:
        (x0, y0), (x1, y1) = spots[upper], spots[lower]
        length += abs(x0 - x1)
        for name, (x, y) in spots.items():
            if name not in (upper, lower) and y1 < y < y0:
                hidden += abs(x0 + (x1 - x0) * (y0 - y) / (y0 - y1) - x) < 0.8
    return 10.0 * hidden + length


def draw(edges: dict[str, set[str]]) -> Figure:
    """Rooms on their floors, with a line to each that they use and that no other leads to."""
    spots = places(edges)
    height = max(y for _, y in spots.values()) + 0.8
    figure = Figure(figsize=(9.2, height))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(0.0, 9.2), ylim=(-0.4, height - 0.4))
    axes.axis("off")
    for upper, lower in sorted(direct(edges)):
        (x0, y0), (x1, y1) = spots[upper], spots[lower]
        axes.plot([x0, x1], [y0 - 0.16, y1 + 0.16], color="#9aa5b1", linewidth=1.0, zorder=1)
    for name, (x, y) in spots.items():
        box = FancyBboxPatch((x - 0.58, y - 0.14), 1.16, 0.28, boxstyle="round,pad=0.02")
        box.set(facecolor="#e8eef5", edgecolor="#3b5b7d", zorder=2)
        axes.add_patch(box)
        axes.text(x, y, name, ha="center", va="center", fontsize=9, zorder=3)
    return figure


if __name__ == "__main__":
    matplotlib.rcParams["svg.hashsalt"] = "rt_tf"  # the same names in the file each time
    draw(uses()).savefig(PICTURE, metadata={"Date": None})
