"""Checks kept proofs without TensorFlow: `python -m pipelines.check --proofs=<folder or file>`."""

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from pipelines.console import one_line_errors
from pipelines.one_line import one_line
from pipelines.parsing import Group, fail, parse, whole
from rt_tf.exactly import radius_text

if TYPE_CHECKING:
    from rt_tf.checker.network import Network
    from rt_tf.checker.proofs import Proofs

ABOUT = """Checks again the certificates that a run kept proofs of, by a program of its own that
computes with NumPy alone, from two files (docs/proofs.md). The exit status is 1 if any certificate
does not hold.

  python -m pipelines.check --proofs=runs/digits/ibp/proofs
  python -m pipelines.check --proofs=proofs.npz --network=network.npz --samples=100
"""
PROOFS, NETWORK = "proofs.npz", "network.npz"
VERDICTS = ("checked", "rejected", "unchecked")
REJECTED = 1

Table = dict[str, Counter]  # by rung, how many of each verdict


def check_group(values: flags.FlagValues) -> Group:
    """What is checked."""
    group = Group("Check", values)
    about = f"A file of proofs, or a folder with {PROOFS} in it or in folders within."
    group.text("proofs", None, about)
    about = f"The network that they are of (default: {NETWORK} beside the proofs, or above)."
    group.text("network", None, about)
    group.one("samples", whole(0), 0, "How many certificates of each file, from the first; 0: all.")
    group.switch("quiet", False, "Print results and errors only.")
    return group


def main(argv: list[str] | None = None) -> None:
    """The entry point."""
    values = flags.FLAGS
    parse(argv or sys.argv, [check_group(values)], ABOUT)
    if values.proofs is None:
        fail("flags: expected --proofs=<folder or file>; received none")
    with one_line_errors(goes_on=False):
        raise SystemExit(run(values))


def run(values: flags.FlagValues) -> int:
    """Checks what the flags name, prints what was found; returns the exit status."""
    from pipelines.console import console
    from rt_tf.checker.malformed import MalformedError

    screen, status = console(values.quiet), 0
    try:
        for path, network_path in _files(Path(values.proofs), values.network):
            table = _check(path, network_path, values.samples, screen)
            if any(row["rejected"] for row in table.values()):
                status = REJECTED
    except MalformedError as error:
        fail(" ".join(str(error).split()))
    except MemoryError:
        fail("memory: expected files whose passes fit into memory; they do not")
    return status


def _files(proofs: Path, network: str | None) -> Iterator[tuple[Path, Path]]:
    """Every file of proofs with its network's."""
    found = sorted(proofs.rglob(PROOFS)) if proofs.is_dir() else [proofs]
    if not found or not found[0].is_file():
        fail(f"proofs: expected a file or a folder that holds {PROOFS}; received '{proofs}'")
    for path in found:
        yield path, Path(network) if network else _nearest(path)


def _nearest(path: Path) -> Path:
    found = [folder / NETWORK for folder in path.resolve().parents]
    found = [file for file in found if file.is_file()]
    if not found:
        fail(f"network: expected {NETWORK} beside {path} or above, or --network; found none")
    return found[0]


def _check(path: Path, network_path: Path, samples: int, screen: Any) -> Table:
    from rt_tf.checker import network, proofs

    of = network.load(network_path)
    claimed = proofs.load(path, of)
    table: Table = {}
    _announce(path, claimed)
    for rung, verdict in _verdicts(of, claimed, samples, screen):
        table.setdefault(rung, Counter())[verdict] += 1
    for left in claimed.unchecked:
        table.setdefault(left.rung, Counter())["unchecked"] += 1
    _summary(table, claimed)
    return table


def _verdicts(
    network: "Network", proofs: "Proofs", samples: int, screen: Any
) -> Iterator[tuple[str, str]]:
    """The rung and the verdict of each certificate; prints a line for one that is rejected."""
    from pipelines.console import progress
    from rt_tf.checker.verdict import check

    certificates = proofs.certificates[: samples or None]
    with progress(screen) as bar:
        task = bar.add_task("check", total=len(certificates), status="")
        for certificate in certificates:
            found = check(network, proofs, certificate)
            if not found.holds:
                why = found.why or f"least margin found {found.least:.6g}"
                said = f"rejected: example {certificate.index} ({certificate.rung}): {why}"
                print(one_line(said))
            bar.advance(task)
            yield certificate.rung, "checked" if found.holds else "rejected"


def _announce(path: Path, proofs: "Proofs") -> None:
    low, high = proofs.domain
    inputs = "ranges by input" if low.ndim + high.ndim else f"[{low:.9g}, {high:.9g}]"
    eps = radius_text(proofs.eps)
    print(one_line(f"{path}: {proofs.threat} eps {eps}, inputs in {inputs}"))
    print(one_line(f"network sha256 {proofs.network_sha256}"))


def _summary(table: Table, proofs: "Proofs") -> None:
    """The counts by rung, and why some could not be checked."""
    from rich.table import Table as Grid

    from pipelines.console import terminal

    grid = Grid("rung", *VERDICTS)
    for rung, row in table.items():
        grid.add_row(rung, *(str(row[verdict]) for verdict in VERDICTS))
    terminal().print(grid)
    for (rung, why), count in Counter((u.rung, u.why) for u in proofs.unchecked).items():
        print(one_line(f"unchecked: {count} of {rung}: {why}"))


if __name__ == "__main__":
    main()
