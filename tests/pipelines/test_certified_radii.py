"""Certified radii of a run: records that hold, that resume, and that the report tells of."""

import contextlib
import io
import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from rt_tf.certification.radius import RadiusSearch
from rt_tf.errors import UserError
from rt_tf.records import merge
from tests.pipelines.conftest import command, report_of, run

ASKED = ("--epsilon=0.2", "--samples=30", "--tolerance=0.02")


@pytest.fixture(scope="module")
def searched(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run whose radii were searched."""
    copy = shutil.copytree(finished, tmp_path_factory.mktemp("radii") / "run")
    with contextlib.redirect_stdout(io.StringIO()) as screen:
        run("radius", f"--model_dir={copy}", *ASKED)
    assert "certified radius (linf, up to 0.2): mean" in " ".join(screen.getvalue().split())
    return copy


def radii_file(folder: Path) -> tuple[dict, list[dict]]:
    return merge.read(folder / "records" / "radius-linf.jsonl")


def nearest(folder: Path) -> dict[int, float]:
    """The smallest stored counterexample of each example, measured from its file."""
    from rt_tf import data

    flags = (folder / "flags.cfg").read_text().splitlines()
    data_dir = next(line.split("=")[1] for line in flags if line.startswith("--data_dir="))
    images = data.load("digits", data_dir).test.images(slice(0, 40))
    nearest: dict[int, float] = {}
    for path in folder.glob("records/linf-*/adversarial/*.npy"):
        index = int(path.stem.split("-")[0])
        distance = float(np.abs(np.load(path).astype(float) - images[index].astype(float)).max())
        nearest[index] = min(distance, nearest.get(index, 1.0))
    return nearest


def test_every_example_has_a_radius_below_its_counterexamples(searched: Path) -> None:
    header, rows = radii_file(searched)
    assert header["settings"]["rungs"] == ["crown_ibp", "crown"]
    assert sorted(row["index"] for row in rows) == list(range(30))
    assert all(0.0 < row["radius"] <= 0.2 for row in rows)
    distances = nearest(searched)
    broken = [row for row in rows if row["index"] in distances]
    assert broken
    for row in broken:
        assert row["radius"] < distances[row["index"]]
        assert all(trial["eps"] < distances[row["index"]] for trial in row["trials"])
        assert row["counterexample_at"] == pytest.approx(distances[row["index"]])


def test_the_slices_of_a_search_come_to_what_one_process_comes_to(
    searched: Path, finished: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(finished, tmp_path / "run")
    run("radius", f"--model_dir={copy}", *ASKED, "--slice=2/2", "--quiet")
    lost = "slice 1/2 of records/radius-linf lacks 15 examples"
    assert report_of(copy)["warnings"] == [lost]
    run("radius", f"--model_dir={copy}", *ASKED, "--slice=1/2", "--quiet")
    report = report_of(copy)
    assert report["warnings"] == []
    [ours], [theirs] = report["radii"], report_of(searched)["radii"]
    for name in ("sample", "clean", "at_largest"):
        assert ours[name] == theirs[name]
    for name, quantile in theirs["quantiles"].items():
        assert ours["quantiles"][name] == pytest.approx(quantile, rel=1e-3)


def test_a_radius_agrees_with_certificates_at_an_eps(searched: Path, tmp_path: Path) -> None:
    """Of the same bounds, but for the tolerance, where these are monotone as they mostly are."""
    copy = shutil.copytree(searched, tmp_path / "run")
    radii = {row["index"]: row["radius"] for row in radii_file(searched)[1]}
    eps = float(np.median(list(radii.values())))
    more = ("--rungs=crown_ibp,crown", "--samples=30", f"--epsilon={eps!r}")
    run("certify", f"--model_dir={copy}", *more)
    _, rows = merge.read(copy / "records" / f"linf-{eps!r}" / "certify.jsonl")
    certified = {row["index"] for row in rows if row["verdict"] == "certified"}
    right = {row["index"] for row in rows if row["prediction"] == row["label"]}
    assert {i for i in right if radii[i] >= eps} <= certified
    assert certified <= {i for i in right if radii[i] >= 0.98 * eps}
    assert 5 < len(certified) < 25


def test_the_report_tells_of_them(searched: Path) -> None:
    _, rows = radii_file(searched)
    [radius] = report_of(searched)["radii"]
    right = [row for row in rows if row["prediction"] == row["label"]]
    assert radius["clean"]["count"] == radius["curve"][0]["certified"]["count"] == len(right)
    assert radius["correct"]["mean"] == pytest.approx(np.mean([row["radius"] for row in right]))
    for point in radius["curve"]:
        held = sum(row["radius"] >= point["epsilon"] for row in right)
        assert point["certified"]["count"] == held <= point["attacked"]["count"]
    assert radius["curve"][-1]["epsilon"] == 0.2
    page = (searched / "report" / "report.html").read_text()
    assert "<h2>Certified radius</h2>" in page
    card = (searched / "export" / "assets.extra" / "MODEL_CARD.md").read_text()
    assert "- certified radius (linf, up to 0.2): mean" in card


def test_a_killed_search_goes_on(
    searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copytree(searched, tmp_path / "run")
    path = copy / "records" / "radius-linf.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    kept = lines[: 1 + 30 + 11]  # a header, 30 examples begun, 11 answers
    path.write_text("".join(kept) + lines[len(kept)][:40])
    answered = [row for row in radii_file(copy)[1] if "open" not in row]
    batches, search = [], RadiusSearch.search

    def counted(self, images, labels, most):  # type: ignore[no-untyped-def]
        batches.append(len(labels))
        return search(self, images, labels, most)

    monkeypatch.setattr(RadiusSearch, "search", counted)
    run("radius", f"--model_dir={copy}", *ASKED)
    assert batches == [19]
    assert len(answered) == 11
    assert all(row in radii_file(copy)[1] for row in answered)
    before = {row["index"]: row["radius"] for row in radii_file(searched)[1]}
    after = {row["index"]: row["radius"] for row in radii_file(copy)[1]}
    assert after == pytest.approx(before, rel=0.02)


def test_an_interrupted_search_leaves_no_sample_of_what_ended_first(
    searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has not ended yet is certified at no radius, and counted."""
    copy, search = shutil.copytree(searched, tmp_path / "run"), RadiusSearch.search

    def cut_short(*arguments):  # type: ignore[no-untyped-def]
        yield from itertools.islice(search(*arguments), 10)
        raise KeyboardInterrupt

    monkeypatch.setattr(RadiusSearch, "search", cut_short)
    with pytest.raises(KeyboardInterrupt):
        run("radius", f"--model_dir={copy}", *ASKED, "--rungs=interval")
    rows = radii_file(copy)[1]
    assert sorted(row["radius"] > 0.0 for row in rows) == 20 * [False] + 10 * [True]
    run("evaluate", f"--model_dir={copy}", "--samples=20")
    (radius,) = report_of(copy)["radii"]
    assert radius["clean"]["n"] == 30
    assert radius["curve"][-1]["certified"]["n"] == 30


def test_other_settings_begin_anew_and_four_times_the_runs_own_is_the_largest(
    searched: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(searched, tmp_path / "run")
    run("radius", f"--model_dir={copy}", "--rungs=interval", "--samples=5")
    header, rows = radii_file(copy)
    assert header["settings"]["largest"] == 0.2
    assert len(rows) == 5
    assert (copy / "records" / "radius-linf.jsonl.superseded").exists()


def test_a_radius_that_reaches_a_counterexample_is_a_contradiction(
    searched: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(searched, tmp_path / "run")
    path = copy / "records" / "radius-linf.jsonl"
    header, rows = radii_file(copy)
    row = next(row for row in rows if row["counterexample_at"] is not None)
    row["radius"] = row["counterexample_at"]
    row["trials"].append({**row["trials"][0], "eps": row["radius"], "certified": True})
    row["rung"] = row["trials"][-1]["rung"]
    path.write_text("".join(json.dumps(line) + "\n" for line in (header, *rows)))
    with pytest.raises(UserError, match=r"records: .*certified up to .*, falsified by a change of"):
        run("radius", f"--model_dir={copy}", *ASKED)


def test_what_cannot_be_searched_is_one_line(searched: Path) -> None:
    with pytest.raises(UserError, match=r"epsilon: expected one radius.*received 0.1, 0.2"):
        run("radius", f"--model_dir={searched}", "--epsilon=0.1,0.2")
    bad = command("radius", f"--model_dir={searched}", "--rungs=attack")
    assert bad.returncode == 2
    assert "expected one of interval, crown_ibp" in bad.stderr
    assert bad.stderr.count("\n") == 1
