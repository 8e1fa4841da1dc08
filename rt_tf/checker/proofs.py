"""The file proofs.npz: claims, and their proofs."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from rt_tf.checker import archive
from rt_tf.checker.archive import Arrays, of_type
from rt_tf.checker.lines import LINE_RULES
from rt_tf.checker.malformed import choice, field, only, require
from rt_tf.checker.network import Network
from rt_tf.checker.pre_activations import INTERMEDIATES
from rt_tf.checker.region import THREATS
from rt_tf.checker.trees import Rule, Tree, walk

SCHEMA = "rt_tf.proofs/2"
HEADER = (
    *("schema", "network_sha256", "threat", "epsilon", "domain", "scale", "classes"),
    *("certificates", "unchecked", "sha256"),
)
CERTIFICATE = ("index", "label", "rung", "kind", "intermediate", "slope")
BOUNDS = ("interval", "linear")
FLOAT32 = 2.0**128  # above all float32 numbers


@dataclasses.dataclass(frozen=True)
class Certificate:
    """One claim and its proof. bounds: of a rule. units [units, 2], trees: of a tree's proof."""

    index: int
    label: int
    rung: str
    image: np.ndarray
    rule: Rule
    bounds: str
    units: np.ndarray
    trees: dict[int, Tree]


@dataclasses.dataclass(frozen=True)
class Unchecked:
    """A certificate that this program cannot check, and the reason."""

    index: int
    rung: str
    why: str


@dataclasses.dataclass(frozen=True)
class Proofs:
    """All certificates of a file, and the threat that they are about.

    domain: the least and the greatest inputs, numbers or arrays of the input's shape. scale: a
    number or such an array, the share of eps by which each input may move.
    """

    threat: str
    eps: float
    domain: tuple[np.ndarray, np.ndarray]
    scale: np.ndarray
    network_sha256: str
    certificates: list[Certificate]
    unchecked: list[Unchecked]


def load(path: Path, network: Network) -> Proofs:
    """The proofs of a network; MalformedError if the file has none, or is about another one."""
    return from_arrays(archive.read(path), network, str(path))


def from_arrays(arrays: Arrays, network: Network, where: str = "proofs") -> Proofs:
    """The proofs that arrays stand for, under the names of proofs.npz."""
    header = archive.parse(archive.text(arrays, "header", where), where)
    only(header, HEADER, where)
    choice(header, "schema", [SCHEMA], where)
    rest = {name: values for name, values in arrays.items() if name != "header"}
    stated, found = field(header, "sha256", str, where), checksum(header, rest)
    require(stated == found, where, f"content of sha256 {stated}", found)
    of = field(header, "network_sha256", str, where)
    require(of == network.sha256, where, f"the network of sha256 {of}", network.sha256)
    classes = field(header, "classes", int, where)
    require(classes == network.classes, where, f"{network.classes} classes", classes)
    reader = _Reader(header, rest, network, where)
    proofs = reader.proofs()
    unread = sorted(set(rest) - reader.read)
    require(not unread, where, "no arrays but those of its certificates", unread)
    return proofs


def checksum(header: dict[str, Any], arrays: Arrays) -> str:
    """SHA-256 of a header without its own checksum, and of all other arrays."""
    kept = {name: value for name, value in header.items() if name != "sha256"}
    return archive.checksum(json.dumps(kept, sort_keys=True), arrays)


class _Reader:
    """Certificates from a header and arrays; remembers which arrays were read."""

    def __init__(
        self, header: dict[str, Any], arrays: Arrays, network: Network, where: str
    ) -> None:
        self.header = header
        self.arrays = arrays
        self.network = network
        self.where = where
        self.read: set[str] = set()

    def proofs(self) -> Proofs:
        records = field(self.header, "certificates", list, self.where)
        others = field(self.header, "unchecked", list, self.where)
        choices = THREATS if records else [field(self.header, "threat", str, self.where)]
        threat = choice(self.header, "threat", choices, self.where)
        eps = field(self.header, "epsilon", float, self.where)
        require(eps >= 0.0, self.where, "'epsilon' to be at least 0", eps)
        domain, scale = self._domain(), self._scale(threat)
        images = self._images(len(records), domain)
        certificates = [self._certificate(k, r, images[k]) for k, r in enumerate(records)]
        unchecked = [self._unchecked(record) for record in others]
        indices = [c.index for c in certificates] + [u.index for u in unchecked]
        require(len(set(indices)) == len(indices), self.where, "an example once", "one twice")
        sha256 = self.network.sha256
        return Proofs(threat, eps, domain, scale, sha256, certificates, unchecked)

    def _domain(self) -> tuple[np.ndarray, np.ndarray]:
        """The ends of the inputs' domain; null stands for no limit."""
        ends = field(self.header, "domain", dict, self.where)
        only(ends, ("lower", "upper"), f"{self.where}: 'domain'")
        lower = self._by_input(ends["lower"], "'domain'", -np.inf)
        upper = self._by_input(ends["upper"], "'domain'", np.inf)
        grows = bool((lower <= upper).all())
        require(grows, self.where, "'domain' to grow", "ends that cross")
        return lower, upper

    def _scale(self, threat: str) -> np.ndarray:
        """The share of eps by which each input may move: null for all of it."""
        require("scale" in self.header, self.where, "a 'scale'", "none")
        scale = self._by_input(self.header["scale"], "'scale'", 1.0)
        require(bool((scale >= 0.0).all()), self.where, "'scale' to be at least 0", "others")
        plain = threat == "linf" or self.header["scale"] is None
        require(plain, self.where, f"no 'scale' for {threat}", "one")
        return scale

    def _by_input(self, value: Any, name: str, missing: float) -> np.ndarray:
        """A number, or nested lists of the input's shape, of numbers or null (for `missing`)."""
        shape = tuple(self.network.input_shape) if isinstance(value, list) else ()
        fits = _has_shape(value, shape)
        require(fits, self.where, f"{name}: a number or lists in the input's shape", "others")
        flat = _flat(value)
        numbers = all(part is None or _is_number(part) for part in flat)
        require(numbers, self.where, f"numbers in {name}", "others")
        return np.array([missing if part is None else part for part in flat], float).reshape(shape)

    def _images(self, count: int, domain: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        images = self._take("images", np.float32)
        shape = (count, *self.network.input_shape) if count else (0,)
        require(images.shape == shape, self.where, f"images {shape}", images.shape)
        if count:
            lowest, highest = (np.asarray(end, np.float32) for end in domain)  # as images are
            inside = bool(((images >= lowest) & (images <= highest)).all())
            require(inside, self.where, "images in the domain", "others")
        return images

    def _take(self, name: str, dtype: type) -> np.ndarray:
        require(name in self.arrays, self.where, f"an array '{name}'", "none")
        self.read.add(name)
        return of_type(self.arrays[name], dtype, f"{self.where}: '{name}'")

    def _certificate(self, k: int, record: Any, image: np.ndarray) -> Certificate:
        where = f"{self.where}: certificate {k}"
        index, label = field(record, "index", int, where), field(record, "label", int, where)
        require(0 <= label < self.network.classes, where, "a class as label", label)
        kind = choice(record, "kind", ("rule", "tree"), where)
        intermediate = choice(record, "intermediate", INTERMEDIATES, where)
        slope, rung = choice(record, "slope", LINE_RULES, where), field(record, "rung", str, where)
        units, bounds, shared = np.zeros((0, 2), np.int64), "linear", False
        trees: dict[int, Tree] = {}
        if kind == "rule":
            only(record, (*CERTIFICATE, "bounds"), where)
            bounds = choice(record, "bounds", BOUNDS, where)
        else:
            only(record, (*CERTIFICATE, "shared", "rows"), where)
            shared = field(record, "shared", bool, where)
            units = self._units(k, where)
            trees = self._trees(k, field(record, "rows", list, where), label, len(units), where)
        rule = Rule(intermediate, slope, shared)
        return Certificate(index, label, rung, image, rule, bounds, units, trees)

    def _units(self, k: int, where: str) -> np.ndarray:
        units = self._take(f"{k}.units", np.int32)
        require(units.ndim == 2 and units.shape[1] == 2, where, "units [units, 2]", units.shape)
        pairs = [(int(node), int(unit)) for node, unit in units]
        relus = self.network.relus()
        known = all(i in relus and 0 <= u < self.network.size(i) for i, u in pairs)
        require(known, where, "units of activations", "others")
        require(len(set(pairs)) == len(pairs), where, "every unit once", "one twice")
        return units.astype(np.int64)

    def _trees(
        self, k: int, rows: list[Any], label: int, units: int, where: str
    ) -> dict[int, Tree]:
        classes = set(range(self.network.classes)) - {label}
        good = all(type(j) is int and j in classes for j in rows) and len(set(rows)) == len(rows)
        require(good, where, "'rows' to be other classes, each once", rows)
        return {j: self._tree(f"{k}.{j}", units, f"{where}: row {j}") for j in rows}

    def _tree(self, name: str, units: int, where: str) -> Tree:
        nodes = self._take(f"{name}.tree", np.int32)
        require(nodes.ndim == 2 and nodes.shape[1] == 2, where, "a tree [nodes, 2]", nodes.shape)
        leaves = walk(nodes, self.network, where)
        slopes = self._take(f"{name}.slopes", np.float16)
        shape = (len(leaves), units)
        require(slopes.shape == shape, where, f"slopes {shape}", slopes.shape)
        require(bool(((slopes >= 0) & (slopes <= 1)).all()), where, "slopes in [0, 1]", "others")
        multipliers = self._take(f"{name}.multipliers", np.float32).astype(np.float64)
        count = sum(map(len, leaves))
        require(multipliers.shape == (count,), where, f"multipliers [{count}]", multipliers.shape)
        require(bool((multipliers >= 0).all()), where, "multipliers of at least 0", "others")
        ends = np.cumsum([len(splits) for splits in leaves])[:-1]
        return Tree(leaves, slopes.astype(np.float64), np.split(multipliers, ends))

    def _unchecked(self, record: Any) -> Unchecked:
        where = f"{self.where}: unchecked"
        only(record if isinstance(record, dict) else {}, ("index", "label", "rung", "why"), where)
        field(record, "label", int, where)
        index, rung = field(record, "index", int, where), field(record, "rung", str, where)
        return Unchecked(index, rung, field(record, "why", str, where))


def _has_shape(value: Any, shape: tuple[int, ...]) -> bool:
    """Whether nested lists are of a shape, and no deeper."""
    if not shape:
        return not isinstance(value, list)
    if not isinstance(value, list) or len(value) != shape[0]:
        return False
    return all(_has_shape(part, shape[1:]) for part in value)


def _flat(value: Any) -> list[Any]:
    """All numbers of nested lists, in order."""
    return [one for part in value for one in _flat(part)] if isinstance(value, list) else [value]


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) <= FLOAT32
