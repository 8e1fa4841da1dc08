"""The house rules: which room may use which, what stays free of TensorFlow, what is documented."""

import ast
import graphlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rt_tf import catalogue

ROOT = Path(__file__).parent.parent
LIBRARY = sorted(ROOT.glob("rt_tf/**/*.py"))
CODE = ("rt_tf", "pipelines", "benchmarks")

BELOW_BOUNDS = {"network", "threats"}
BELOW_TRAINING = BELOW_BOUNDS | {"bounds", "layers", "attacks", "data"}
MAY_USE = {  # besides a room's own files
    "errors": set(),
    "exactly": set(),
    "domain": {"errors"},
    "files": set(),
    "folders": {"errors"},
    "machine": set(),
    "notes": {"errors", "files"},
    "numbers": {"errors"},
    "replicas": set(),
    "catalogue": {"errors", "exactly"},
    "progress": set(),
    "zoo": {"errors"},
    "data": set(),
    "network": set(),
    "threats": {"network"},
    "bounds": BELOW_BOUNDS,
    "layers": {"bounds", "network"},
    "models": {"layers", "network"},
    "attacks": {"bounds"} | BELOW_BOUNDS,
    "training": {"models"} | BELOW_TRAINING,
    "interchange": {"network"},
    "certification": {"interchange"} | BELOW_TRAINING,
    "checker": set(),
    "command_line": set(),
    "records": {"certification"},
    "proofs": {"certification", "checker", "network", "records"},
    "serving": {"bounds", "models", "network", "threats"},
    "api": {"zoo", "evaluation", "reporting", "records", "serving", "certification"}
    | {"interchange", "models"}
    | BELOW_TRAINING
    | {"training"},
    "evaluation": {
        "reporting",
        "proofs",
        "records",
        "serving",
        "certification",
        "models",
        "checker",
    }
    | BELOW_TRAINING,
    "reporting": {
        "machine",
        "records",
        "serving",
        "training",
        "certification",
        "bounds",
        "attacks",
        "data",
    }
    | BELOW_BOUNDS,
}
USED_BY_ALL = {"errors", "domain", "exactly", "files", "folders", "notes", "numbers"}
USED_BY_ALL |= {"replicas", "catalogue", "progress", "command_line"}
HANGING = (  # the first words of docstrings that make one guess their subject
    *("The same", "Those", "The contrary", "This one", "That of", "As ", "Such ", "Of "),
    *("What ", "Which ", "Who ", "How ", "Where ", "Whether it ", "Whether they "),
    *("It ", "Its ", "They ", "Their ", "And ", "Also ", "Likewise"),
)
TENSORS = {"Tensor", "ndarray", "NDArray"}
# A shape, such as [batch, ...] or [2], but no interval such as [0, 1] or [l, u]; or a word for one.
SHAPE = re.compile(
    r"(?<!\w)\[(?!(l, u|lower, upper|least, most)\])"
    r"(\d+|[^][(){}'\"]*(\.{3}|[A-Za-z])[^][(){}'\"]*)\]"
    r"|\bscalars?\b|\bany shape\b|\belementwise\b"
)
# Each uses earlier ones alone.
NETWORK = [
    *(
        "ops",
        "maps",
        "curves",
        "relaxations",
        "planes",
        "steps",
        "recipe",
        "softmax",
        "activations",
    ),
    *("lowerings", "products", "operations", "lowering", "graph", "folding", "moments", "wiring"),
    *("keras_operations", "logits", "trace", "copying"),
]


def imports(path: Path) -> Iterator[str]:
    """Dotted names of all that a file imports, at its top or inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(dotted: str) -> str | None:
    """The room of a dotted name: `network` for rt_tf.network.ops, None outside the library."""
    parts = dotted.split(".")
    return parts[1] if parts[0] == "rt_tf" and len(parts) > 1 else None


def room_of(path: Path) -> str | None:
    return room(".".join(path.relative_to(ROOT).with_suffix("").parts))


def rooms_used(name: str) -> set[str]:
    files = [path for path in LIBRARY if room_of(path) == name]
    assert files, f"no room '{name}'"
    used = {room(dotted) for path in files for dotted in imports(path)}
    return {other for other in used if other not in (None, name)}


def places(matches) -> list[str]:
    """Where in the library the nodes are that `matches` picks from a module's tree."""
    return [
        f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"
        for path in LIBRARY
        for node in matches(ast.parse(path.read_text()))
    ]


def test_every_folder_of_code_is_a_package() -> None:
    """An installed package has no others."""
    folders = {path.parent for room in CODE for path in (ROOT / room).glob("**/*.py")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_every_file_is_in_a_room_of_the_table():
    assert {room_of(path) for path in LIBRARY} - {"__init__"} == set(MAY_USE)


@pytest.mark.parametrize("name", MAY_USE)
def test_dependencies_run_one_way(name):
    common = set() if name in USED_BY_ALL else USED_BY_ALL
    assert rooms_used(name) <= MAY_USE[name] | common


def test_the_table_allows_no_cycle():
    rest, built = dict(MAY_USE), set()
    while rest:
        ready = {name for name, below in rest.items() if below <= built}
        assert ready, f"a cycle among {', '.join(rest)}"
        built |= ready
        rest = {name: below for name, below in rest.items() if name not in ready}


def test_no_files_use_each_other_in_a_circle():
    paths = [path for part in CODE for path in ROOT.glob(f"{part}/**/*.py")]
    names = {
        ".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p
        for p in paths
    }
    used = {
        name: {n if n in names else n.rpartition(".")[0] for n in imports(path)}
        & set(names) - {name}
        for name, path in names.items()
    }
    graphlib.TopologicalSorter(used).prepare()  # CycleError names the files


def test_inside_network_dependencies_run_one_way():
    files: dict[str, list[Path]] = {}  # by their own names, and those of the folders they are in
    for path in ROOT.glob("rt_tf/network/**/*.py"):
        part = path.relative_to(ROOT / "rt_tf/network").with_suffix("").parts[0]
        files.setdefault(part, []).append(path)
    assert set(files) == {"__init__", *NETWORK}
    for position, part in enumerate(NETWORK):
        names = {name for path in files[part] for name in imports(path)}
        used = {name.split(".")[2] for name in names if room(name) == "network"} - {part}
        assert used <= set(NETWORK[:position]), f"{part} uses what is above it"


def test_threats_know_nothing_of_networks_but_tensors():
    names = {name for path in ROOT.glob("rt_tf/threats/**/*.py") for name in imports(path)}
    assert {name for name in names if room(name) == "network"} <= {
        "rt_tf.network.ops.Tensor",
        "rt_tf.network.ops.box_minimum",
        "rt_tf.network.ops.inner",
    }


def test_the_library_knows_no_flags_and_no_pipelines():
    foreign = ("pipelines", "absl.flags", "absl.app", "argparse")
    assert not [
        f"{path.relative_to(ROOT)}: {name}"
        for path in LIBRARY
        for name in imports(path)
        if f"{name}.".startswith(tuple(f"{prefix}." for prefix in foreign))
    ]


def test_the_checker_needs_numpy_alone():
    """It shares nothing with what it checks: neither code nor what that code rests on."""
    names = {name for path in ROOT.glob("rt_tf/checker/*.py") for name in imports(path)}
    foreign = {name for name in names if name.split(".")[0] not in sys.stdlib_module_names}
    assert not [n for n in foreign if not f"{n}.".startswith(("numpy.", "rt_tf.checker."))]


def test_strategies_are_known_where_they_are_opened_and_in_the_loop():
    may = ("pipelines/assembly/devices.py", "rt_tf/replicas.py", "rt_tf/training/loop/")
    names = [
        str(path.relative_to(ROOT))
        for code in ("rt_tf", "pipelines")
        for path in ROOT.glob(f"{code}/**/*.py")
        if "tf.distribute" in path.read_text()
    ]
    assert set(may[:2]) < set(names)
    assert not [name for name in names if not name.startswith(may)]


def test_the_library_prints_nothing():
    def prints(tree):
        calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
        return [call for call in calls if isinstance(call, ast.Name) and call.id == "print"]

    assert not places(prints)


def test_modules_and_what_they_offer_have_docstrings():
    def undocumented(tree):
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        offered = [n for n in tree.body if isinstance(n, kinds) and not n.name.startswith("_")]
        return [node for node in (tree, *offered) if not ast.get_docstring(node)]

    assert not places(undocumented)


def test_docstrings_hang_on_no_sentence_before():
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    paths = [path for part in CODE for path in sorted(ROOT.glob(f"{part}/**/*.py"))]
    assert not [
        f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"
        for path in paths
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, kinds) and (ast.get_docstring(node) or "").startswith(HANGING)
    ]


def carries_tensors(annotation: ast.AST | None) -> bool:
    """Whether a type holds tensors or arrays, unless as what a callable takes or returns."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        annotation = ast.parse(annotation.value, mode="eval").body
    if annotation is None or ast.unparse(annotation).split("[")[0].endswith("Callable"):
        return False
    name = getattr(annotation, "attr", getattr(annotation, "id", None))
    return name in TENSORS or any(map(carries_tensors, ast.iter_child_nodes(annotation)))


def takes_or_returns_tensors(function: ast.FunctionDef) -> bool:
    words = [n for n in ast.walk(function.args) if isinstance(n, ast.arg)]
    return any(map(carries_tensors, [function.returns, *(word.annotation for word in words)]))


def base_names(kind: ast.ClassDef) -> set[str]:
    return {ast.unparse(base).split("[")[0].split(".")[-1] for base in kind.bases}


def lineage(kind: ast.ClassDef, classes: list[ast.ClassDef]) -> list[ast.ClassDef]:
    """A class and, by their names, its bases and theirs."""
    found = [kind]
    for each in found:  # it grows
        found += [c for c in classes if c.name in base_names(each) and c not in found]
    return found


def members(kinds: list[ast.ClassDef]) -> set[str]:
    """The public methods and fields of some classes."""
    nodes = [node for kind in kinds for node in kind.body]
    fields = [n.targets[0] for n in nodes if isinstance(n, ast.Assign)]
    fields += [n.target for n in nodes if isinstance(n, ast.AnnAssign)]
    names = {n.name for n in nodes if isinstance(n, ast.FunctionDef)} | set(
        map(ast.unparse, fields)
    )
    return {name for name in names if not name.startswith("_")}


def contracts(kind: ast.ClassDef, classes: list[ast.ClassDef]) -> list[ast.ClassDef]:
    """A class, its bases, and the protocols all of whose members it has."""
    kinds = lineage(kind, classes)
    protocols = [c for c in classes if "Protocol" in base_names(c)]
    return kinds + [p for p in protocols if members(lineage(p, classes)) <= members(kinds)]


def public(body: list[ast.stmt], kind: type) -> list:
    return [node for node in body if isinstance(node, kind) and not node.name.startswith("_")]


def test_docstrings_give_the_shapes_of_tensors():
    """A function's own, its class's, its module's, or that of the method which it implements."""
    trees = {path: ast.parse(path.read_text()) for path in LIBRARY}
    classes = [n for tree in trees.values() for n in ast.walk(tree) if isinstance(n, ast.ClassDef)]

    def gives_shapes(*nodes: ast.AST) -> bool:
        return any(SHAPE.search(ast.get_docstring(node) or "") for node in nodes)

    def implements(kind: ast.AST, name: str) -> list[ast.FunctionDef]:
        kinds = contracts(kind, classes) if isinstance(kind, ast.ClassDef) else []
        return [f for each in kinds for f in public(each.body, ast.FunctionDef) if f.name == name]

    assert not [
        f"{path.relative_to(ROOT)}:{function.lineno} {function.name}"
        for path, tree in trees.items()
        for owner in [tree, *public(tree.body, ast.ClassDef)]
        for function in public(owner.body, ast.FunctionDef)
        if takes_or_returns_tensors(function)
        and not gives_shapes(function, owner, tree)
        and not gives_shapes(*implements(owner, function.name))
    ]


def test_flags_and_names_need_no_tensorflow():
    """So that --help and a bad flag answer at once."""
    light = ["rt_tf.errors", "rt_tf.catalogue", "pipelines.flags.parsing", "pipelines.flags.run"]
    light += ["pipelines.train", "pipelines.certify", "pipelines.evaluate", "pipelines.export"]
    light += ["pipelines.check", "pipelines.verify", "pipelines.radius", "pipelines.compare"]
    program = f"""
import importlib, sys
for name in {light}:
    importlib.import_module(name)
    heavy = {{"tensorflow", "keras", "tensorflow_datasets", "numpy"}} & set(sys.modules)
    assert not heavy, f"{{name}} imports {{heavy}}"
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


@pytest.mark.parametrize("kind", catalogue.TABLES)
def test_every_name_of_the_catalogue_stands_for_something(kind):
    for name, entry in catalogue.TABLES[kind].items():
        assert catalogue.resolve(kind, name) is not None
        assert entry.summary


@pytest.mark.parametrize("kind", catalogue.TABLES)
def test_an_unknown_name_is_answered_with_those_that_exist(kind):
    with pytest.raises(ValueError, match="expected one of .*; received 'nonsense'") as caught:
        catalogue.resolve(kind, "nonsense")
    assert all(name in str(caught.value) for name in catalogue.TABLES[kind])


# Where a network is traced for its layers alone, or its boxes have ends of their own.
WITHOUT_DOMAIN = {
    *(
        "rt_tf/serving/saved_model.py",
        "rt_tf/proofs/network_file.py",
        "rt_tf/certification/properties/decision.py",
    ),
    "rt_tf/interchange/parity.py",
    *("rt_tf/checker/verdict.py", "rt_tf/checker/region.py"),
    *(
        "pipelines/runs/keras_file.py",
        "pipelines/stages/drawing.py",
    ),
}


@pytest.mark.parametrize(("name", "place"), [("Region", 4), ("trace", 3)])
def test_every_region_and_network_is_told_the_domain_of_its_input(name: str, place: int) -> None:
    """One that is not would take [0, 1] for it, whatever the network reads."""
    without = set()
    for path in [*LIBRARY, *ROOT.glob("pipelines/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or ast.unparse(node.func) != name:
                continue
            if len(node.args) < place and "domain" not in [word.arg for word in node.keywords]:
                without.add(str(path.relative_to(ROOT)))
    assert without <= WITHOUT_DOMAIN
