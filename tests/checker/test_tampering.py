"""Proofs that were changed are refused, whether or not their checksums were made anew."""

import json
import zipfile

import numpy as np
import pytest
from kept_proofs import Question, checked, margins_of
from one_proof import EXAMPLE, by_tree, outcome

from rt_tf.checker import archive as archive_file
from rt_tf.checker import network as checked_network
from rt_tf.checker import proofs as checked_proofs
from rt_tf.checker.malformed import MalformedError


def header_of(arrays) -> dict:
    return json.loads(str(arrays["header"]))


def with_header(arrays, header, anew: bool):
    """The header put back; its checksum made anew or left."""
    rest = {name: values for name, values in arrays.items() if name != "header"}
    if anew:
        header = header | {"sha256": checked_proofs.checksum(header, rest)}
    return {"header": np.array(json.dumps(header)), **rest}


def row() -> int:
    """The other class that the rule does not prove."""
    q, _ = by_tree()
    margins = checked(q, [q.certified(EXAMPLE, "crown")])[0].margins
    return min(margins, key=margins.get)


def in_header(**values):
    return lambda arrays, header: header.update(values)


def in_certificate(**values):
    return lambda arrays, header: header["certificates"][0].update(values)


def in_array(name, change):
    def tamper(arrays, header):
        key = name.format(row=row())
        arrays[key] = change(arrays[key].copy())

    return tamper


def another_label(arrays, header):
    """The other class in place of the own one, in the rows too."""
    certificate, label = header["certificates"][0], int(by_tree()[0].labels[EXAMPLE])
    certificate["rows"] = [label if j == row() else j for j in certificate["rows"]]
    certificate["label"] = row()
    for name in ("tree", "slopes", "multipliers"):
        arrays[f"0.{label}.{name}"] = arrays.pop(f"0.{row()}.{name}")


def another_image(arrays, header):
    q, _ = by_tree()
    other = next(k for k in range(3) if q.labels[k] != q.labels[EXAMPLE])
    arrays["images"] = q.images[other : other + 1]


def larger_radius(arrays, header):
    header["epsilon"] *= 1.3


def without_row(arrays, header):
    header["certificates"][0]["rows"].remove(row())
    for name in ("tree", "slopes", "multipliers"):
        del arrays[f"0.{row()}.{name}"]


def row_unnamed(arrays, header):
    header["certificates"][0]["rows"].remove(row())


def tree_cut_short(arrays, header):
    """One leaf in place of all, with the slopes of the first."""
    arrays[f"0.{row()}.tree"] = np.array([[-1, -1]], np.int32)
    arrays[f"0.{row()}.slopes"] = arrays[f"0.{row()}.slopes"][:1]
    arrays[f"0.{row()}.multipliers"] = arrays[f"0.{row()}.multipliers"][:0]


def leaf_removed(arrays, header):
    name, splits = f"0.{row()}", 4
    arrays[f"{name}.tree"] = arrays[f"{name}.tree"][:-1]
    arrays[f"{name}.slopes"] = arrays[f"{name}.slopes"][:-1]
    arrays[f"{name}.multipliers"] = arrays[f"{name}.multipliers"][:-splits]


def split_twice(arrays, header):
    arrays[f"0.{row()}.tree"][1] = arrays[f"0.{row()}.tree"][0]


def claimed_twice(arrays, header):
    header["certificates"] *= 2
    arrays["images"] = np.repeat(arrays["images"], 2, axis=0)
    arrays |= {f"1{k[1:]}": values for k, values in arrays.items() if k.startswith("0.")}


def by_rule_alone(arrays, header):
    certificate = header["certificates"][0]
    del certificate["rows"], certificate["shared"]
    certificate |= {"kind": "rule", "bounds": "linear"}
    for name in [name for name in arrays if name.startswith("0.")]:
        del arrays[name]


def first(value):
    def change(values):
        values.flat[0] = value
        return values

    return change


def one_of(usual, one):
    """A number for every value of an image, another one for a single value: [4, 4, 2]."""
    values = np.full([4, 4, 2], usual)
    values[1, 2, 0] = one
    return values.tolist()


REJECTED = {
    "label": another_label,
    "image": another_image,
    "radius": larger_radius,
    "row removed": without_row,
    "tree cut short": tree_cut_short,
    "no tree": by_rule_alone,
    "slopes": in_array("0.{row}.slopes", lambda s: (1 - s).astype(np.float16)),
    "multipliers": in_array("0.{row}.multipliers", lambda m: m + np.float32(3)),
    "splits swapped": in_array("0.{row}.multipliers", lambda m: 50 * m[::-1]),
    "threat": in_header(threat="l1", epsilon=3.0),
}
MALFORMED = {
    "leaf removed": (leaf_removed, "a whole tree"),
    "leaf added": (
        in_array("0.{row}.tree", lambda t: np.concatenate([t, t[-1:]])),
        "ends with its last leaf",
    ),
    "leaf without slopes": (in_array("0.{row}.slopes", lambda s: s[:-1]), "slopes (16"),
    "slope above 1": (in_array("0.{row}.slopes", first(1.001)), "slopes in [0, 1]"),
    "slope below 0": (in_array("0.{row}.slopes", first(-1e-3)), "slopes in [0, 1]"),
    "slope no number": (in_array("0.{row}.slopes", first(np.nan)), "finite numbers"),
    "slopes of float32": (
        in_array("0.{row}.slopes", lambda s: s.astype(np.float32)),
        "an array of float16",
    ),
    "multiplier below 0": (in_array("0.{row}.multipliers", first(-1e-6)), "at least 0"),
    "multiplier missing": (in_array("0.{row}.multipliers", lambda m: m[1:]), "multipliers ["),
    "split twice": (split_twice, "split once"),
    "split of no unit": (in_array("0.{row}.tree", first(99)), "splits at units"),
    "slopes of no unit": (in_array("0.units", first(99)), "units of activations"),
    "slopes twice": (in_array("0.units", lambda u: u[[0] * len(u)]), "every unit once"),
    "array left over": (row_unnamed, "no arrays but"),
    "claimed twice": (claimed_twice, "an example once"),
    "pixel outside": (in_array("images", first(7.0)), "images in the domain"),
    "pixel no number": (in_array("images", first(np.nan)), "finite numbers"),
    "image of another shape": (in_array("images", lambda x: x[:, 1:]), "images (1, 4, 4, 2)"),
    "another network": (in_header(network_sha256="0" * 64), "the network of sha256"),
    "fewer classes": (in_header(classes=2), "3 classes"),
    "own class as row": (in_certificate(label=row), "other classes"),
    "no such class": (in_certificate(label=3), "a class as label"),
    "rows twice": (in_certificate(rows=[1, 1]), "each once"),
    "no such rule": (in_certificate(slope="steep"), "'slope' to be one of"),
    "no such bounds": (in_certificate(intermediate="none"), "'intermediate' to be one of"),
    "radius below 0": (in_header(epsilon=-0.1), "'epsilon' to be at least 0"),
    "radius no number": (in_header(epsilon="0.1"), "'epsilon' to be float"),
    "radius infinite": (in_header(epsilon=float("inf")), "expected JSON"),
    "threat": (in_header(threat="l7"), "'threat' to be one of"),
    "range": (in_header(domain={"lower": 1.0, "upper": 0.0}), "'domain' to grow"),
    "range of one pixel": (in_header(domain={"lower": 0.0, "upper": one_of(1.0, -1.0)}), "to grow"),
    "range by a word": (in_header(domain={"lower": "low", "upper": 1.0}), "numbers in 'domain'"),
    "range of another shape": (in_header(domain={"lower": [0.0], "upper": 1.0}), "'domain': a num"),
    "range with another end": (in_header(domain={"lower": 0.0, "upper": 1.0, "q": 1}), "no fields"),
    "huge range": (in_header(domain={"lower": 0.0, "upper": 10**400}), "numbers in 'domain'"),
    "negative scale": (in_header(scale=-1.0), "'scale' to be at least 0"),
    "one negative scale": (in_header(scale=one_of(1.0, -1.0)), "'scale' to be at least 0"),
    "no scale": (in_header(scale=False), "numbers in 'scale'"),
    "schema": (in_header(schema="rt_tf.proofs/3"), "'schema' to be one of"),
    "field": (in_header(trust="me"), "no fields but"),
    "rung of two lines": (in_certificate(rung="a\nb"), "'rung' to be one line"),
    "radius huge": (in_header(epsilon=10**400), "at most"),
}


def tampered(change, anew):
    q, arrays = by_tree()
    arrays, header = {name: v.copy() for name, v in arrays.items()}, header_of(arrays)
    change(arrays, header)
    for certificate in header["certificates"]:
        if callable(certificate["label"]):
            certificate["label"] = certificate["label"]()
    return outcome(with_header(arrays, header, anew), q.arrays)


def test_what_was_not_changed_is_checked():
    q, arrays = by_tree()
    assert outcome(arrays, q.arrays) == "checked"
    assert tampered(lambda arrays, header: None, anew=True) == "checked"
    ruled = margins_of(checked(q, [q.certified(EXAMPLE, "crown")]))
    assert ruled.min() < 0.0, "the rule alone would do"


@pytest.mark.parametrize("name", REJECTED)
def test_claims_that_the_proof_does_not_bear_are_rejected(name):
    assert tampered(REJECTED[name], anew=True) == "rejected"


@pytest.mark.parametrize("name", MALFORMED)
def test_what_the_format_does_not_allow_is_refused_in_a_line(name):
    change, words = MALFORMED[name]
    assert words in tampered(change, anew=True)


@pytest.mark.parametrize("name", [*REJECTED, "leaf removed", "slope above 1", "another network"])
def test_without_a_new_checksum_any_change_is_refused(name):
    change = REJECTED[name] if name in REJECTED else MALFORMED[name][0]
    assert "content of sha256" in tampered(change, anew=False)


def weaker(q: Question) -> dict[str, np.ndarray]:
    """The network with a bias that favours the other class."""
    name = f"{q.network.output}.bias"
    bias = q.arrays[name].copy()
    bias[row()] += 0.5
    return q.arrays | {name: bias}


def test_a_changed_weight_makes_another_network():
    q, arrays = by_tree()
    assert "the network of sha256" in outcome(arrays, weaker(q))


def test_a_changed_weight_under_new_checksums_is_rejected():
    q, arrays = by_tree()
    sha256 = checked_network.from_arrays(weaker(q)).sha256
    header = header_of(arrays) | {"network_sha256": sha256}
    assert outcome(with_header(arrays, header, anew=True), weaker(q)) == "rejected"


def test_a_header_that_does_not_end_is_refused(tmp_path):
    """Numpy hands such a header to Python's tokenizer, which has an error of its own."""
    header = (
        b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '<f4', 'shape': (3,), 'x': (".ljust(117) + b"\n"
    )
    with zipfile.ZipFile(tmp_path / "proofs.npz", "w") as archive:
        archive.writestr("a.npy", header)
    with pytest.raises(MalformedError, match="expected a whole NumPy archive"):
        archive_file.read(tmp_path / "proofs.npz")
