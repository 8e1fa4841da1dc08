"""The tests that import a file, in the order in which they are likely to find a fault in it."""

import ast
from collections import deque
from pathlib import Path

FARTHEST = 3  # imports from a test to the file


class Suite:
    """The tests of a tree by what they import."""

    def __init__(self, root: Path) -> None:
        self.root = root
        paths = [*(root / "rt_tf").rglob("*.py"), *(root / "tests").rglob("*.py")]
        names = {_module(path, root): path for path in paths}
        self.imports = {name: _imports(path, set(names)) for name, path in names.items()}
        self.files = {
            name: str(path.relative_to(root))
            for name, path in names.items()
            if path.name.startswith("test_") and "pipelines" not in path.parts
        }

    def of(self, path: str) -> list[str]:
        """The files of tests that import a file: those of its room first, then near, then short."""
        target, room = _module(self.root / path, self.root), Path(path).parent.name
        ranked = [
            (f"/{room}/" not in file, distance, (self.root / file).stat().st_size, file)
            for name, file in self.files.items()
            if (distance := self._distance(name, target)) <= FARTHEST
        ]
        return [file for *_, file in sorted(ranked)]

    def _distance(self, start: str, target: str) -> int:
        """The number of imports from one module to another; more than FARTHEST without a way."""
        seen, waiting = {start}, deque([(start, 0)])
        while waiting:
            name, distance = waiting.popleft()
            if name == target:
                return distance
            for other in self.imports.get(name, set()) - seen:
                seen.add(other)
                waiting.append((other, distance + 1))
        return FARTHEST + 1


def _module(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    if parts[0] == "tests" and len(parts) > 2 and parts[1] not in ("oracles",):
        parts = parts[-1:]  # pytest puts the folder of a test itself on the path
    return ".".join(part for part in parts if part != "__init__")


def _imports(path: Path, modules: set[str]) -> set[str]:
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported.add(node.module)
            imported |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and str(node.value).startswith("tests."):
            imported.add(str(node.value).split(".")[-1])  # python -m tests.training.replicated
    return imported & modules
