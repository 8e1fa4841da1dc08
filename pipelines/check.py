"""Checks kept proofs without TensorFlow: `python -m pipelines.check --proofs=<folder or file>`."""

import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from pipelines.console import one_line_errors
from pipelines.flags.parsing import Group, fail, one_line, parse, whole
from pipelines.stages.checked import Checked, Results, checksum
from rt_tf.exactly import radius_text

if TYPE_CHECKING:
    from rt_tf.checker.network import Network
    from rt_tf.checker.proofs import Certificate, Proofs

ABOUT = """Checks again the certificates that a run kept proofs of, by a program of its own that
computes with NumPy alone, from two files (docs/proofs.md). The exit status is 1 if any certificate
does not hold.

  python -m pipelines.check --proofs=runs/digits/ibp/proofs
  python -m pipelines.check --proofs=proofs.npz --network=network.npz --samples=100
"""
PROOFS, NETWORK = "proofs.npz", "network.npz"
VERDICTS = ("checked", "rejected", "unchecked")
REJECTED = 1
EVERY = 10.0  # seconds between lines where there is no terminal to draw a bar on

Table = dict[str, Counter]  # the counts of verdicts by rung


def check_group(values: flags.FlagValues) -> Group:
    """The flags of a check."""
    group = Group("Check", values)
    about = f"A file of proofs, or a folder with {PROOFS} in it or in folders within."
    group.text("proofs", None, about)
    about = f"The network that they are of (default: {NETWORK} beside the proofs, or above)."
    group.text("network", None, about)
    about = "Where each verdict is kept as it comes; the same command goes on from there."
    group.text("results", None, about)
    group.one("samples", whole(0), 0, "How many certificates of each file, from the first; 0: all.")
    group.switch("quiet", False, "Print results and errors only.")
    return group


def main(argv: list[str] | None = None) -> None:
    """The entry point."""
    values = flags.FLAGS
    parse(argv or sys.argv, [check_group(values)], ABOUT)
    if values.proofs is None:
        fail("flags: expected --proofs=<folder or file>; received none")
    with one_line_errors(goes_on=values.results is not None):
        raise SystemExit(run(values))


def run(values: flags.FlagValues) -> int:
    """Checks the proofs that the flags name, prints the results; returns the exit status."""
    from pipelines.console import console
    from rt_tf.checker import network
    from rt_tf.checker.malformed import MalformedError

    screen, status = console(values.quiet), 0
    results, load = Results(Path(values.results) if values.results else None), cache(network.load)
    try:
        for path, network_path in _files(Path(values.proofs), values.network):
            table = _check(path, load(network_path), values.samples, results, screen)
            if any(row["rejected"] for row in table.values()):
                status = REJECTED
    except MalformedError as error:
        fail(" ".join(str(error).split()))
    except MemoryError:
        fail("memory: expected files whose passes fit into memory; they do not")
    return status


def _files(proofs: Path, network: str | None) -> Iterator[tuple[Path, Path]]:
    """Yields every file of proofs with the file of its network."""
    files = sorted(proofs.rglob(PROOFS)) if proofs.is_dir() else [proofs]
    if not files or not files[0].is_file():
        fail(f"proofs: expected a file or a folder that holds {PROOFS}; received '{proofs}'")
    for path in files:
        yield path, Path(network) if network else _nearest(path)


def _nearest(path: Path) -> Path:
    files = [folder / NETWORK for folder in path.resolve().parents]
    files = [file for file in files if file.is_file()]
    if not files:
        fail(f"network: expected {NETWORK} beside {path} or above, or --network; found none")
    return files[0]


def _check(path: Path, of: "Network", samples: int, results: Results, screen: Any) -> Table:
    """The counts of verdicts by rung; those so far are shown if the check is interrupted."""
    from rt_tf.checker import proofs

    claimed, sha256 = proofs.load(path, of), checksum(path)
    earlier, certificates = results.of(sha256), claimed.certificates[: samples or None]
    table: Table = {}
    _announce(path, claimed)
    try:
        for certificate in _shown(certificates, table, screen):
            result = earlier.get(certificate.index)
            if result is None:
                result = _checked(of, claimed, certificate)
                results.keep(sha256, result)
            if not result.holds:
                rejection = f"rejected: example {result.example} ({result.rung}): {result.why}"
                print(one_line(rejection), flush=True)
            table.setdefault(result.rung, Counter())["checked" if result.holds else "rejected"] += 1
    except KeyboardInterrupt:
        _summary(table, claimed)
        raise
    for left in claimed.unchecked:
        table.setdefault(left.rung, Counter())["unchecked"] += 1
    _summary(table, claimed)
    return table


def _checked(network: "Network", proofs: "Proofs", certificate: "Certificate") -> Checked:
    from rt_tf.checker.verdict import check

    began = time.perf_counter()
    verdict = check(network, proofs, certificate)
    seconds, why = time.perf_counter() - began, ""
    if not verdict.holds:
        why = verdict.why or f"least margin found {verdict.least:.6g}"
    return Checked(certificate.index, certificate.rung, verdict.holds, why, seconds)


def _shown(
    certificates: Sequence["Certificate"], table: Table, screen: Any
) -> Iterator["Certificate"]:
    """Yields each certificate: with a bar on a terminal, elsewhere with a line now and then."""
    from rt_tf.evaluation.terminal import progress_bars

    printed = time.monotonic()
    with progress_bars(screen) as bar:
        task = bar.add_task("check", total=len(certificates), status="")
        for done, certificate in enumerate(certificates, 1):
            now = f"example {certificate.index} ({certificate.rung})"
            bar.update(task, status=one_line(now))
            yield certificate
            bar.advance(task)
            if not screen.is_terminal and time.monotonic() - printed >= EVERY:
                printed = time.monotonic()
                counts = sum(table.values(), Counter())
                screen.print(f"{done} of {len(certificates)}: {counts['rejected']} rejected")


def _announce(path: Path, proofs: "Proofs") -> None:
    low, high = proofs.domain
    kind = "ranges by input within " if low.ndim + high.ndim else ""
    inputs = f"{kind}[{low.min():.9g}, {high.max():.9g}]"
    eps = radius_text(proofs.eps) + _scaled(proofs)
    print(one_line(f"{path}: {proofs.threat} eps {eps}, inputs in {inputs}"))
    print(one_line(f"network sha256 {proofs.network_sha256}"))


def _scaled(proofs: "Proofs") -> str:
    """The range of the inputs' shares of eps in words; empty where each may move by all of it."""
    scale = proofs.scale
    if (scale == 1.0).all():
        return ""
    fixed = f", {(scale == 0.0).sum()} of {scale.size} inputs fixed" if (scale == 0.0).any() else ""
    return f" times {scale.min():.6g} to {scale.max():.6g} by input{fixed}"


def _summary(table: Table, proofs: "Proofs") -> None:
    """Prints the counts by rung, and why some certificates could not be checked."""
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
