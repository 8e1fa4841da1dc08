"""The written report: a self-contained page, JSON that reads back, nothing if contradictory."""

from __future__ import annotations

import base64
import io
import json
from fractions import Fraction
from html.parser import HTMLParser

import numpy as np
import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from rt_tf.errors import UserError
from rt_tf.exactly import radius_text
from rt_tf.files import write_text
from rt_tf.records.merge import Inconsistent
from rt_tf.records.record_file import line
from rt_tf.reporting.attacks import warnings as attack_warnings
from rt_tf.reporting.counterexamples import measure
from rt_tf.reporting.formats import DASH, percent
from rt_tf.reporting.report import write_report
from rt_tf.reporting.statistics import rate
from rt_tf.reporting.summary import summarise
from rt_tf.reporting.text import model_card, summary_text, terminal_table
from tests.reporting.synthetic import (
    NETWORK,
    N,
    attack_row,
    originals,
    settings,
    write_attack,
    write_question,
    write_run,
    write_three_radii,
)

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Checks nesting, collects text, links and images."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.places: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "srcset")]
        self.places += [value for name, value in attrs if name == "href"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in ("tr", "td", "th", "li", "p") and self.open[-1] != tag:
            raise AssertionError(f"</{tag}> closes <{self.open[-1]}>")
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data.split()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The report, its page and the run; not to be changed."""
    run_dir = write_three_radii(tmp_path_factory.mktemp("written") / "run")
    report = write_report(run_dir, originals)
    return report, (run_dir / "report" / "report.html").read_text(encoding="utf-8"), run_dir


def test_page_is_whole_and_self_contained(written):
    _, html, _ = written
    page = Page(html)
    assert page.open == []
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert all(link.startswith("data:image/") for link in page.links)
    assert page.places == []
    assert "http://" not in html
    assert "https://" not in html
    assert "url(" not in html
    assert len(page.links) == 5  # accuracy by eps, margins, examples, classes, training
    for link in page.links:
        data = base64.b64decode(link.split(",", 1)[1])
        assert data.startswith(b"\x89PNG" if "png" in link[:16] else b"<?xml")


def test_page_shows_the_numbers(written):
    report, html, _ = written
    text = " ".join(Page(html).words).replace(DASH, "-")
    for shown in (
        "93.3 % 56 of 60 examples",
        "83.3 % 50 of 60 examples",
        "75.0 % 45 of 60 examples",
        "certified 45",
        "unknown: bound too loose 5",
        "unknown: out of time 0",
        "unknown: error 0",
        "broken by an attack 6",
        "misclassified 4",
        "interval 62.1-85.3 %",
        "crown_ibp 56 45 45 11",
        report["claim"]["sentence"],
        report["data"]["sample"]["sha256"],
        "ab" * 32,
        "tensorflow 2.21.0",
        "0123abc",
        "<b>&",  # a flag, escaped in the source
    ):
        assert shown in text
    assert "<b>&" not in html


def test_json_round_trip(written):
    report, _, run_dir = written
    text = (run_dir / "report" / "report.json").read_text(encoding="utf-8")
    assert json.loads(text) == json.loads(json.dumps(report))
    assert "NaN" not in text
    assert "Infinity" not in text


def test_distances_are_measured(written):
    report, html, _ = written
    examples = report["examples"]["linf"]
    assert len(examples) == 8
    for example in examples:
        assert example["distance"] == 0.9 * example["epsilon"]
        assert example["norms"]["linf"] == pytest.approx(example["distance"], abs=1e-6)
        assert example["norms"]["l2"] == pytest.approx(example["distance"] * 4, abs=1e-5)
    assert "0.04500" in html


def write_suite(run_dir, warnings=()):
    """FGSM breaks what PGD does not at 0.05: a sanity check fails."""
    write_attack(run_dir, "fgsm", range(4, 15), settings("fgsm", steps=1, restarts=1))
    attacks = {"linf-0.05": ["fgsm", "pgd-40x2"], "linf-0.1": ["pgd-40x2"]}
    suite = {"suite": "quick", "samples": N, "questions": list(attacks), "attacks": attacks}
    path = run_dir / "records" / "suite-quick.json"
    path.write_text(json.dumps({**suite, "warnings": list(warnings)}))


def test_page_shows_suites_and_failed_checks(run_dir):
    write_suite(run_dir, ["<i>a</i> warning"])
    report = write_report(run_dir)
    html = (run_dir / "report" / "report.html").read_text(encoding="utf-8")
    page = Page(html)
    text = " ".join(page.words).replace(DASH, "-").replace("\N{MULTIPLICATION SIGN}", "x")
    for shown in (
        "Suite quick: attack x threat",
        "fgsm 75.0 % 62.1-85.3 % 11 0.05 0.05 10 ms",
        "linf attacks (eps = 0.05) 75.0 %",
        "all attacks 60.0 %",
        "<i>a</i> warning",
        "linf FAIL linf 0.05: pgd-40x2 leaves 83.3 %, fgsm leaves 75.0 % of 60 examples",
        "1 of 1 sanity checks of the attacks failed",
        "Not checked, because no records tell: more steps",
    ):
        assert shown in text
    assert "<i>" not in html
    assert page.places == ["#sanity"]
    assert page.open == []
    assert all(f'id="{place.removeprefix("#")}"' in html for place in page.places)
    for text in (summary_text(report), model_card(report)):
        assert "| **all attacks** | **60.0 %" in text
        assert "- FAIL: iterative attacks" in text


def test_a_report_without_attacks_says_nothing_of_them(run_dir):
    for path in (run_dir / "records").glob("*/attack-*.jsonl"):
        path.unlink()
    report = write_report(run_dir)
    html = (run_dir / "report" / "report.html").read_text(encoding="utf-8")
    assert (report["suites"], report["sanity"], report["examples"]) == ([], [], {})
    assert "Did the attacks work" not in html
    assert "Sanity" not in summary_text(report) + model_card(report)


@pytest.mark.parametrize("threat", ["wasserstein", "union"])
def test_distances_that_are_no_norm_are_taken_as_recorded(run_dir, threat):
    folder = write_attack(run_dir, "pgd", [7], threat=threat, eps=1.5, distance=0.75)
    np.save(folder / "adversarial/00007-pgd.npy", originals([7])[0] * np.float32(0.5))
    [example] = (examples := {threat: summarise(run_dir)["examples"][threat]})[threat]
    measure(run_dir, examples, originals)
    assert example["distance"] == 0.75
    assert example["norms"]["linf"] == pytest.approx(float(originals([7]).max()) / 2)
    np.save(folder / "adversarial/00007-pgd.npy", originals([7])[0] + np.float32(0.5))
    with pytest.raises(Inconsistent, match=r"leaves \[0, 1\]"):
        measure(run_dir, examples, originals)


@pytest.mark.parametrize("shift", [0.02, 2.0])
def test_a_counterexample_outside_its_region_is_refused(run_dir, shift):
    path = run_dir / "records/linf-0.05/adversarial/00006-pgd-40x2.npy"
    np.save(path, np.load(path) + np.float32(shift))
    with pytest.raises(Inconsistent, match="example 6: counterexample at distance"):
        write_report(run_dir, originals)
    assert not (run_dir / "report").exists()


def test_a_counterexample_of_another_shape_is_refused(run_dir):
    for path in (run_dir / "records/linf-0.05/adversarial").iterdir():
        np.save(path, np.load(path)[:1])
    with pytest.raises(Inconsistent, match=r"image \(4, 4, 1\), received \(1, 4, 1\)"):
        write_report(run_dir, originals)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x93NUMPY\x01"])
def test_a_counterexample_that_cannot_be_read_is_refused(run_dir, content):
    for path in (run_dir / "records/linf-0.05/adversarial").iterdir():
        path.write_bytes(content)
    with pytest.raises(Inconsistent, match=r"\.npy: expected a stored image"):
        write_report(run_dir, originals)


def test_a_counterexample_outside_the_pixel_box_is_refused(run_dir):
    def bright(indices):
        return originals(indices) + np.float32(0.5)

    for path in (run_dir / "records").glob("*/adversarial/*"):
        np.save(path, np.load(path) + np.float32(0.5))
    with pytest.raises(Inconsistent, match=r"leaves \[0, 1\]"):
        write_report(run_dir, bright)


def test_a_contradiction_leaves_the_old_report(run_dir):
    write_text(run_dir / "report" / "report.html", "old")
    path = run_dir / "records/linf-0.05/attack-pgd-40x2.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1 + 30] = line(attack_row(30, True, "adversarial/00004-pgd-40x2.npy"))
    path.write_bytes(b"".join(lines))
    with pytest.raises(Inconsistent, match="example 30: certified and falsified"):
        write_report(run_dir, originals)
    assert (run_dir / "report" / "report.html").read_text(encoding="utf-8") == "old"


def test_without_images_without_history_with_one_question(run_dir):
    (run_dir / "history.jsonl").unlink()
    for name in ("linf-0.1", "linf-0.025"):
        (run_dir / "records" / name).rename(run_dir / name)
    write_report(run_dir)
    page = Page((run_dir / "report" / "report.html").read_text(encoding="utf-8"))
    assert len(page.links) == 3


@pytest.mark.parametrize("missing", ["certify", "attack-pgd-40x2"])
def test_half_the_evidence(run_dir, missing):
    (run_dir / "records" / "linf-0.05" / f"{missing}.jsonl").unlink()
    report = write_report(run_dir)
    Page((run_dir / "report" / "report.html").read_text(encoding="utf-8"))
    for text in (model_card(report), summary_text(report), rendered(report)):
        assert DASH in text
    nothing = "Nothing is certified: no ladder was run."
    assert (report["claim"]["sentence"] == nothing) == (missing == "certify")


def rendered(report, width: int = 80) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(terminal_table(report))
    return console.export_text()


def test_terminal_table(written):
    lines = rendered(written[0]).replace(DASH, "-").splitlines()
    [main] = [text for text in lines if "linf 0.05" in text]
    words = "linf 0.05 93.3 (83.8-98.2) 83.3 (71.5-91.7) 75.0 (62.1-85.3) 60"
    assert " ".join(main.split()) == words
    [small] = [text for text in lines if "linf 0.025" in text]
    assert "80.0 (61.4-92.3)" in small
    assert small.split()[-1] == "40/30/40"
    assert max(map(len, lines)) <= 80


def test_markdown(written):
    report = written[0]
    text = summary_text(report).replace(DASH, "-")
    assert "| linf 0.05 | 93.3 % (83.8-98.2 %, n 60) |" in text
    card = model_card(report).replace(DASH, "-")
    for shown in (text.splitlines()[0], "ab" * 32, "crown_ibp 45", "indices 0-59", "## Limits"):
        assert shown in card


HOSTILE = "[/x] :smile: <b>&lt;</b> `c` | *d* [e](f) # g"


def test_names_mean_nothing_but_themselves(run_dir):
    """In the terminal's table, the page and the card, however they look."""
    facts = json.loads((run_dir / "run.json").read_text())
    facts["system"] = facts["model"]["name"] = facts["flags"]["published"] = HOSTILE
    facts["given"] = {"file": HOSTILE, "sha256": "0", "input_range": None, "notes": [HOSTILE]}
    (run_dir / "run.json").write_text(json.dumps(facts))
    report = write_report(run_dir)
    assert HOSTILE in rendered(report, width=200)
    page = Page((run_dir / "report" / "report.html").read_text(encoding="utf-8"))
    assert " ".join(page.words).count(HOSTILE) >= 5
    rendering = MarkdownIt("commonmark", {"html": True}).enable("table").render(model_card(report))
    card = Page(rendering)
    assert " ".join(card.words).count(HOSTILE) == 6
    assert not {"b", "em"} & set(card.tags)
    assert card.places == []


def test_percent_never_rounds_up_to_all():
    shown = [percent(rate(n - 1, n)) for n in (2, 360, 1000, 1001, 10_000, 60_000)]
    assert shown == ["50.0 %", "99.7 %", "99.9 %", "99.90 %", "99.99 %", "99.998 %"]
    assert percent(rate(5, 5)) == "100.0 %"


def test_what_was_published_stands_beside_what_was_found(run_dir):
    facts = json.loads((run_dir / "run.json").read_text())
    assert "Published" not in model_card(write_report(run_dir))
    facts["flags"]["published"] = "98 / 97 / 96 (a paper, table 1)"
    (run_dir / "run.json").write_text(json.dumps(facts))
    report = write_report(run_dir)
    html = (run_dir / "report" / "report.html").read_text(encoding="utf-8")
    assert "in %: 98 / 97 / 96 (a paper, table 1)." in html
    assert "certified: 98 / 97 / 96 (a paper, table 1)" in model_card(report)


WARNING = "the cross-entropy loss has a zero gradient at 98 of 100 points: attacks fail"


def test_warnings_stand_beside_the_accuracies_everywhere(run_dir):
    attack_warnings.keep(run_dir / "records", NETWORK, [WARNING])
    write_attack(run_dir, "square-100x1", range(4, 12), settings("square", 100, 1))
    report = write_report(run_dir)
    masked = "linf-0.05: an attack without gradients found 2 of the 50 examples"
    assert report["warnings"][0] == WARNING
    assert report["warnings"][1].startswith(masked)
    assert len(report["warnings"]) == 2
    kept = json.loads((run_dir / "report" / "report.json").read_text())
    assert kept["warnings"] == report["warnings"]
    words = " ".join(Page((run_dir / "report" / "report.html").read_text()).words)
    assert words.index(WARNING) < words.index("What is claimed")
    head, card = model_card(report).split("## Model"), model_card(report)
    assert f"- warning: {WARNING}" in head[0]
    assert masked in card
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(terminal_table(report))
    assert WARNING in " ".join(console.export_text().split())


def test_warnings_of_another_network_are_not_told(run_dir):
    attack_warnings.keep(run_dir / "records", "another", [WARNING])
    assert write_report(run_dir)["warnings"] == []


@pytest.mark.parametrize("content", ["", "[]", '{"warnings": 3, "network_sha256": ""}'])
def test_warnings_that_cannot_be_read_are_one_line(run_dir, content):
    (run_dir / "records" / attack_warnings.FILE).write_text(content)
    with pytest.raises(UserError, match="attack-warnings.json: expected warnings of a network"):
        write_report(run_dir)


def test_settings_are_words_not_python(run_dir):
    run = json.loads((run_dir / "run.json").read_text())
    run["flags"] |= {"rungs": ["interval", "crown_ibp"], "download": False, "data_dir": None}
    run["hardware"]["accelerators"] = ["/GPU:0", "/GPU:1"]
    (run_dir / "run.json").write_text(json.dumps(run))
    write_report(run_dir)
    words = " ".join(Page((run_dir / "report" / "report.html").read_text()).words)
    assert "rungs interval, crown_ibp" in words
    assert "accelerators /GPU:0, /GPU:1" in words
    for python in ("['", "[]", "None", "False", "True", "{'"):
        assert python not in words


@pytest.mark.parametrize(
    ("eps", "text"),
    [
        (0.1, "0.1"),
        (0.0999999999, "0.0999999999"),
        (8 / 255, "8/255"),
        (1.0, "1"),
        (255 / 255, "1"),
        (0.0313725, "0.0313725"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1e-7, "1e-07"),
        (12.5, "12.5"),
    ],
)
def test_a_radius_reads_back_as_itself(eps, text):
    assert radius_text(eps) == text
    assert float(Fraction(text)) == eps


def test_a_radius_is_written_alike_wherever_it_is_shown(tmp_path):
    """Of two radii that six digits do not tell apart, none is shown as the other."""
    run_dir = write_run(tmp_path / "run")
    for eps in (0.05, 0.0999999999, 0.1):
        write_question(run_dir, eps)
    report = write_report(run_dir)
    words = " ".join(Page((run_dir / "report" / "report.html").read_text()).words)
    for text in (words, model_card(report)):
        assert "linf 0.0999999999 " in text
        assert text.count("linf 0.1 ") == text.count("linf 0.0999999999 ")
