"""Checkpoints: whole ones are kept, remains of others are removed. Networks in files."""

import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from rt_tf import models
from rt_tf.serving.saved_model import network_checksum
from rt_tf.training.loop.checkpoints import Checkpoints, save_network


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


def shi(name: str, side: int) -> keras.Model:
    """A network with all layers for which this library has classes of its own."""
    normalization = ([0.3], [0.2])
    return models.build(name, (side, side, 1), 10, normalization, batch_norm=True, init="shi")


def written(network: keras.Model, path: Path) -> str:
    """The configuration in the file of a network."""
    save_network(network, path)
    with zipfile.ZipFile(path) as file:
        return file.read("config.json").decode()


@pytest.mark.parametrize(("name", "side"), [("digits_cnn", 8), ("wong_resnet", 4)])
def test_files_of_networks_hold_classes_of_keras_alone(
    tmp_path: Path, name: str, side: int
) -> None:
    network = shi(name, side)
    config = written(network, tmp_path / "network.keras")
    assert "rt_tf" not in config
    assert "BatchNormalization" in config
    loaded = keras.models.load_model(tmp_path / "network.keras")
    x = np.random.default_rng(0).random((5, side, side, 1), dtype=np.float32)
    np.testing.assert_array_equal(loaded(x), network(x))
    assert network_checksum(loaded) == network_checksum(network)
    kernel = network.get_layer("logits").kernel
    again = loaded.get_layer("logits").kernel_initializer(kernel.shape)
    drawn = models.ShiNormal()(kernel.shape)
    assert np.std(again) == pytest.approx(np.std(drawn), rel=0.2)


def test_of_a_cascade_the_members_are_of_keras_and_the_cascade_is_ours(tmp_path: Path) -> None:
    network = models.cascade([shi("digits_cnn", 8), shi("digits_fc", 8)])
    config = written(network, tmp_path / "network.keras")
    assert "rt_tf.layers" not in config
    loaded = keras.models.load_model(tmp_path / "network.keras")
    x = np.random.default_rng(0).random((5, 8, 8, 1), dtype=np.float32)
    np.testing.assert_array_equal(loaded(x), network(x))
    pairs = zip(models.members(loaded), models.members(network), strict=True)
    assert all(network_checksum(a) == network_checksum(b) for a, b in pairs)


def test_files_with_the_librarys_own_layers_are_still_read(tmp_path: Path) -> None:
    """As they were written before."""
    network = shi("digits_cnn", 8)
    network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    assert network_checksum(loaded) == network_checksum(network)


@pytest.mark.slow
def test_plain_keras_reads_the_file_without_this_library(tmp_path: Path) -> None:
    network = shi("digits_cnn", 8)
    save_network(network, tmp_path / "network.keras")
    x = np.random.default_rng(0).random((5, 8, 8, 1), dtype=np.float32)
    np.save(tmp_path / "x.npy", x)
    script = """
import keras, numpy, sys
network = keras.models.load_model("network.keras")
numpy.save("y.npy", network(numpy.load("x.npy")))
assert not [name for name in sys.modules if name.startswith("rt_tf")]
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), network(x), rtol=1e-5, atol=1e-6)
