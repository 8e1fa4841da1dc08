"""The check of files of proofs, one certificate after the other, and its results in a table."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from absl import flags
from rich.table import Table as Grid

from pipelines.console import console, terminal
from pipelines.flags.parsing import fail, one_line
from pipelines.output import Terminal
from pipelines.progress import shown_count
from pipelines.stages.checked import NETWORK, PROOFS, Checked, Results, checksum
from rt_tf.checker import network, proofs
from rt_tf.checker.malformed import MalformedError
from rt_tf.checker.network import Network
from rt_tf.checker.proofs import Certificate, Proofs
from rt_tf.checker.verdict import check
from rt_tf.exactly import radius_text

VERDICTS = ("checked", "rejected", "unchecked")
REJECTED = 1

Table = dict[str, Counter]  # the counts of verdicts by rung


def check_files(values: flags.FlagValues) -> int:
    """Checks the proofs that the flags name, prints the results; returns the exit status."""
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
        fail(f"network: expected {NETWORK} beside {path} or above, or --network; there is none")
    return files[0]


def _check(path: Path, of: Network, samples: int, results: Results, screen: Terminal) -> Table:
    """The counts of verdicts by rung; those so far are shown if the check is interrupted."""
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
                terminal(soft_wrap=True).print(one_line(rejection))
            table.setdefault(result.rung, Counter())["checked" if result.holds else "rejected"] += 1
    except KeyboardInterrupt:
        _summary(table, claimed)
        raise
    for left in claimed.unchecked:
        table.setdefault(left.rung, Counter())["unchecked"] += 1
    _summary(table, claimed)
    return table


def _checked(network: Network, proofs: Proofs, certificate: Certificate) -> Checked:
    began = time.perf_counter()
    verdict = check(network, proofs, certificate)
    seconds, why = time.perf_counter() - began, ""
    if not verdict.holds:
        why = verdict.why or f"the bound of the least margin is {verdict.least:.6g}"
    return Checked(certificate.index, certificate.rung, verdict.holds, why, seconds)


def _shown(
    certificates: Sequence[Certificate], table: Table, screen: Terminal
) -> Iterator[Certificate]:
    """Yields each certificate, and counts them on the screen."""
    with shown_count(screen, "check", len(certificates)) as checked:
        for certificate in certificates:
            checked.advance(0, one_line(f"example {certificate.index} ({certificate.rung})"))
            yield certificate
            rejected = sum(row["rejected"] for row in table.values())
            checked.advance(1, f"{rejected} rejected")


def _announce(path: Path, proofs: Proofs) -> None:
    low, high = proofs.domain
    kind = "ranges by input within " if low.ndim + high.ndim else ""
    inputs = f"{kind}[{low.min():.9g}, {high.max():.9g}]"
    eps = radius_text(proofs.eps) + _scaled(proofs)
    shown = terminal(soft_wrap=True)
    shown.print(one_line(f"{path}: {proofs.threat} eps {eps}, inputs in {inputs}"))
    shown.print(one_line(f"network sha256 {proofs.network_sha256}"))


def _scaled(proofs: Proofs) -> str:
    """The range of the inputs' shares of eps in words; empty where each may move by all of it."""
    scale = proofs.scale
    if (scale == 1.0).all():
        return ""
    fixed = f", {(scale == 0.0).sum()} of {scale.size} inputs fixed" if (scale == 0.0).any() else ""
    return f" times {scale.min():.6g} to {scale.max():.6g} by input{fixed}"


def _summary(table: Table, proofs: Proofs) -> None:
    """Prints the counts by rung, and why some certificates could not be checked."""
    grid = Grid("rung", *VERDICTS)
    for rung, row in table.items():
        grid.add_row(rung, *(str(row[verdict]) for verdict in VERDICTS))
    terminal().print(grid)
    for (rung, why), count in Counter((u.rung, u.why) for u in proofs.unchecked).items():
        terminal(soft_wrap=True).print(one_line(f"unchecked: {count} of {rung}: {why}"))
