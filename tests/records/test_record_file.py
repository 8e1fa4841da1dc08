"""Record files: append, resume, refuse to mix."""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path

import numpy as np
import pytest

from rt_tf.errors import UserError
from rt_tf.records.merge import RecordFile, question_name, read
from rt_tf.records.record_file import OPEN, line, read_lines

HEADER = {"header": True, "kind": "certify", "eps": 0.05, "settings": {"shape": (1, 2)}}


def rows(*indices: int) -> list[dict]:
    return [{"index": index, "margin": index / 3} for index in indices]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "linf-0.05" / "certify.jsonl"


def test_question_name():
    assert question_name("linf", 0.05) == "linf-0.05"
    assert question_name("l2", 8 / 255) == "l2-0.03137254901960784"
    assert question_name("linf", 0) == "linf-0"


def test_appends_and_resumes(path: Path):
    RecordFile(path, HEADER).append(rows(0, 2))
    again = RecordFile(path, HEADER)
    assert again.done == {0, 2}
    again.append(rows(1))
    assert again.done == {0, 1, 2}
    header, lines = read(path)
    assert header == json.loads(json.dumps(HEADER))
    assert lines == again.rows == rows(0, 2, 1)
    assert again.superseded is None


@pytest.mark.parametrize("cut", range(1, 20))
def test_a_truncated_last_line_is_dropped_from_the_file(path: Path, cut: int):
    RecordFile(path, HEADER).append(rows(0, 1))
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    assert read(path)[1] == rows(0)
    resumed = RecordFile(path, HEADER)
    assert resumed.done == {0}
    resumed.append(rows(1))
    assert path.read_bytes() == whole


def test_a_truncated_header_starts_anew(path: Path):
    RecordFile(path, HEADER)
    path.write_bytes(path.read_bytes()[:10])
    with pytest.raises(UserError, match="header"):
        read(path)
    RecordFile(path, HEADER).append(rows(5))
    assert read(path)[1] == rows(5)


def test_a_damaged_middle_is_refused_with_its_line(path: Path):
    RecordFile(path, HEADER).append(rows(0, 1, 2))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b"\0\0\0\n", lines[3]]))
    with pytest.raises(UserError, match="line 3"):
        RecordFile(path, HEADER)


def test_no_changed_byte_goes_unnoticed(path: Path):
    """One bit of any byte: an error, or the last line counts as cut short; never other records."""
    RecordFile(path, HEADER).append(rows(0, 1, 2))
    whole = path.read_bytes()
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 7
        path.write_bytes(bytes(changed))
        if place == len(whole) - 1:  # as if it were cut short
            assert read(path) == (json.loads(json.dumps(HEADER)), rows(0, 1))
        else:
            with pytest.raises(UserError, match=r"line \d: .*it is damaged; delete the file$"):
                read(path)


@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_line_whose_checksum_was_taken_away_is_refused(path: Path, number: int):
    RecordFile(path, HEADER).append(rows(0, 1, 2))
    lines = path.read_bytes().splitlines(keepends=True)
    lines[number] = bare(lines[number])
    path.write_bytes(b"".join(lines))
    with pytest.raises(UserError, match="as it was written; it is damaged"):
        read(path)


def bare(text: bytes) -> bytes:
    """A line as earlier versions wrote it."""
    return re.sub(rb', "checksum": "[0-9a-f]{16}"', b"", text)


def test_records_of_earlier_versions_are_read_and_get_checksums(path: Path):
    RecordFile(path, HEADER).append(rows(0, 1))
    whole = path.read_bytes()
    path.write_bytes(b"".join(map(bare, whole.splitlines(keepends=True))))
    assert read(path)[1] == rows(0, 1)
    resumed = RecordFile(path, HEADER)
    assert resumed.superseded is None
    assert path.read_bytes() == whole
    resumed.append(rows(2))
    assert read(path)[1] == rows(0, 1, 2)


def test_a_history_may_hold_what_is_not_finite(tmp_path: Path):
    (tmp_path / "history.jsonl").write_bytes(line({"slope": math.inf}, finite=False))
    assert read_lines(tmp_path / "history.jsonl") == [{"slope": math.inf}]
    with pytest.raises(ValueError, match="JSON"):
        line({"slope": math.inf})


def test_a_line_without_an_example_is_refused(path: Path):
    RecordFile(path, HEADER).append(rows(0))
    with path.open("ab") as file:
        file.write(line({"verdict": "certified"}))
    with pytest.raises(UserError, match="line 3: expected an example's index"):
        RecordFile(path, HEADER)


def test_another_header_supersedes(path: Path):
    RecordFile(path, HEADER).append(rows(0, 1))
    old = path.read_bytes()
    changed = RecordFile(path, {**HEADER, "settings": {"shape": (1, 3)}})
    assert changed.superseded == path.with_name("certify.jsonl.superseded")
    assert changed.superseded.read_bytes() == old
    assert changed.done == set()
    assert read(path)[1] == []


def test_no_superseded_file_is_lost(path: Path):
    for k in range(3):
        RecordFile(path, {**HEADER, "settings": k}).append(rows(k))
    kept = [f"certify.jsonl{end}" for end in ("", ".superseded", ".superseded-2")]
    assert sorted(file.name for file in path.parent.iterdir()) == kept
    assert [read(path.with_name(name))[1] for name in kept] == [rows(2), rows(0), rows(1)]


def test_settings_of_before_go_on_where_they_ended(path: Path):
    RecordFile(path, HEADER).append(rows(0, 1))
    RecordFile(path, {**HEADER, "settings": 2}).append(rows(0))
    back = RecordFile(path, HEADER)
    assert back.done == {0, 1}
    back.append(rows(2))
    assert read(path)[1] == rows(0, 1, 2)
    assert RecordFile(path, {**HEADER, "settings": 2}).done == {0}
    assert RecordFile(path, HEADER).done == {0, 1, 2}


def test_lines_that_count_under_another_header_are_carried_over(path: Path):
    RecordFile(path, HEADER).append(rows(0, 1))
    more = {**HEADER, "settings": 2}
    file = RecordFile(path, more, carried=lambda header, row: row if row["index"] == 1 else None)
    assert file.done == {1}
    assert read(path)[1] == rows(1)


def test_nothing_is_carried_over_from_another_question_or_network(path: Path):
    RecordFile(path, HEADER).append(rows(0, 1))
    file = RecordFile(path, {**HEADER, "eps": 0.1}, carried=lambda header, row: row)
    assert file.rows == []


def test_what_was_begun_is_on_record_until_it_is_answered(path: Path):
    file = RecordFile(path, HEADER)
    file.append(rows(1))
    file.begin([{"index": index, "margin": None} for index in range(3)])
    file.append(rows(2))
    begun = {"index": 0, "margin": None, OPEN: True}
    for records in (file, RecordFile(path, HEADER)):  # a killed process's, and the next one's
        assert records.done == {1, 2}
        assert records.answered == rows(1, 2)
        assert sorted(records.rows, key=lambda row: row["index"]) == [begun, *rows(1, 2)]
    resumed = RecordFile(path, HEADER)
    resumed.begin([{"index": 0, "margin": -1.0}])
    assert begun in resumed.rows
    resumed.append(rows(0))
    assert read(path)[1] == rows(1, 2, 0)
    assert path.read_bytes().count(b"\n") == 6  # an answer is a line more, whatever it replaces


def test_of_two_answers_the_one_of_this_header_counts(path: Path):
    RecordFile(path, HEADER).append(rows(0, 1))
    other = {**HEADER, "settings": 2}
    RecordFile(path, other).append([{"index": index, "margin": -1.0} for index in (1, 2)])
    back = RecordFile(path, HEADER, carried=lambda header, row: row)
    assert back.rows == read(path)[1] == [*rows(0, 1), {"index": 2, "margin": -1.0}]


def test_an_answer_counts_before_an_open_line_of_settings_of_before(path: Path):
    first = RecordFile(path, HEADER)
    first.begin(rows(0, 1))
    other = {**HEADER, "settings": 2}
    RecordFile(path, other, carried=lambda header, row: row).append(rows(1))
    back = RecordFile(path, HEADER, carried=lambda header, row: row)
    assert back.answered == rows(1)
    assert [row["index"] for row in back.rows if row.get(OPEN)] == [0]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32("nan")])
def test_nan_is_refused_and_nothing_written(path: Path, value):
    file = RecordFile(path, HEADER)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="JSON compliant"):
        file.append([*rows(0), {"index": 1, "margin": value}])
    assert path.read_bytes() == before
    assert file.done == set()


def test_an_example_twice_is_refused(path: Path):
    file = RecordFile(path, HEADER)
    file.append(rows(0))
    with pytest.raises(ValueError, match="twice"):
        file.append(rows(0))
    with pytest.raises(ValueError, match="twice"):
        file.append(rows(1, 1))
    assert read(path)[1] == rows(0)


def test_numpy_scalars_are_numbers(path: Path):
    RecordFile(path, HEADER).append([{"index": np.int64(3), "ok": np.bool_(True)}])
    assert read(path)[1] == [{"index": 3, "ok": True}]


def test_a_full_disk_leaves_whole_lines(path: Path, monkeypatch):
    file = RecordFile(path, HEADER)
    file.append(rows(0))

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            file.append(rows(1))
    assert file.done == {0}
    file.append(rows(2))
    assert read(path)[1] == rows(0, 2)


def test_read_lines_of_nothing(tmp_path: Path):
    assert read_lines(tmp_path / "history.jsonl") == []
