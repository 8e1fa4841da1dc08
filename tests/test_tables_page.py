"""docs/tables.md does what it says: a table is trained, certified and served in its own domain."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from rt_tf.errors import UserError

PAGE = (Path(__file__).parents[1] / "docs" / "tables.md").read_text()


@pytest.fixture(autouse=True)
def precision() -> Iterator[None]:
    """Puts TF32 back, which the page switches off."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    yield
    tf.config.experimental.enable_tensor_float_32_execution(before)


@pytest.mark.slow
def test_the_page_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its figures to a few rows; what is certified holds at the corners that hurt most."""
    monkeypatch.chdir(tmp_path)
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    names: dict = {}
    exec(compile(code, "docs/tables.md", "exec"), names)
    (shown,) = re.findall(r"```\n(\d.*?)```", PAGE, re.DOTALL)
    expected = np.array(re.findall(r"([\d.]+)%", shown), float)
    printed = np.array(re.findall(r"([\d.]+)%", capsys.readouterr().out), float)
    np.testing.assert_allclose(printed, expected, atol=8.0)  # 4 of 54 rows
    x, network, certified = names["x_test"], names["network"], names["certified"]
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        logits = network(x)
        labels = tf.argmax(logits, axis=1)
        others = tf.where(tf.one_hot(labels, 3) > 0, -np.inf, logits)
        margins = tf.gather(logits, labels, batch_dims=1) - tf.reduce_max(others, axis=1)
    worst = x - 0.1 * names["scale"] * tf.sign(tape.gradient(margins, x)).numpy()
    worst = np.maximum(worst, names["domain"].lower).astype(np.float32)
    same = network(worst).numpy().argmax(axis=1) == labels.numpy()
    assert same[certified].all()
    with pytest.raises(UserError, match="x: expected inputs in the domain"):
        names["model"].evaluate(names["impossible"], names["y_test"], verbose=0)
    with pytest.raises(UserError, match="images: expected values within the domain"):
        next(names["ladder"].climb(names["impossible"], names["labels"], 0.1))
