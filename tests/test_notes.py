"""Notes that a run keeps come back as they were written, or are refused."""

import json

import pytest

from rt_tf.errors import UserError
from rt_tf.notes import CHECKSUM, read_notes, write_notes

CONTENT = {"seed": 7, "eps": 0.1, "threat": "linf", "epochs": [1, 2], "dataset": {"größe": None}}


def test_notes_come_back(tmp_path):
    write_notes(tmp_path / "a.json", CONTENT)
    assert read_notes(tmp_path / "a.json") == CONTENT


def test_what_any_bit_changes_is_refused(tmp_path):
    """But for one in the name of the checksum itself, which changes nothing that is said."""
    path = tmp_path / "a.json"
    write_notes(path, CONTENT)
    whole, refused = path.read_bytes(), 0
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            assert CONTENT.items() <= read_notes(path).items()
        except UserError:
            refused += 1
    assert refused > 6 * len(whole)


@pytest.mark.parametrize("text", ["", "{", "[1]", "7", '"seed"'])
def test_what_is_no_object_of_json_is_refused(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"expected .*a\.json"):
        read_notes(path)


def test_notes_of_earlier_versions_have_no_checksum(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(CONTENT))
    assert read_notes(path) == CONTENT
    path.write_text(json.dumps({**CONTENT, CHECKSUM: "0" * 16}))
    with pytest.raises(UserError, match="edited or damaged"):
        read_notes(path)
