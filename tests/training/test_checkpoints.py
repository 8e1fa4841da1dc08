"""Checkpoints: whole ones are kept, what a kill has left of others goes."""

from pathlib import Path

import tensorflow as tf

from rt_tf.training.checkpoints import Checkpoints


def test_half_written_checkpoints_are_swept_at_the_start(tmp_path: Path) -> None:
    weight = tf.Variable(1.0)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(3, {"step": 3}, weight=weight)
    whole = sorted(path.name for path in tmp_path.iterdir())
    (tmp_path / "ckpt-5.data-00000-of-00001").write_bytes(b"half")
    (tmp_path / "ckpt-6_temp").mkdir()
    (tmp_path / "ckpt-6_temp" / "part-00000-of-00001.data.tempstate7").write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("mine")
    weight.assign(2.0)
    assert Checkpoints(tmp_path).restore(weight=weight) == {"step": 3}
    assert weight.numpy() == 1.0
    assert sorted(path.name for path in tmp_path.iterdir()) == [*whole, "notes.txt"]


def test_there_is_nothing_to_restore_in_a_new_directory(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path / "none").restore(weight=tf.Variable(0.0)) is None
