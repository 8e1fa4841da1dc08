"""The FastAPI service of the examples: what it answers, and what it refuses in one line."""

import importlib.util
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import rt_tf

pytest.importorskip("fastapi")
testclient = pytest.importorskip("fastapi.testclient")

EXAMPLE = Path(__file__).parents[1] / "examples" / "fastapi_service.py"
KERNEL = np.array([[1.0, -1.0], [0.5, -0.5]], np.float32)  # class 0 leads by 2 x + y - 0.9


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Any:
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    network.set_weights([KERNEL, np.array([-0.45, 0.45], np.float32)])
    export = rt_tf.export(network, tmp_path_factory.mktemp("service") / "export", threat="linf")
    spec = importlib.util.spec_from_file_location("fastapi_service", EXAMPLE)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    return testclient.TestClient(example.service(str(export)))


def ask(client: Any, content: Any) -> tuple[int, Any]:
    response = client.post("/certify", json=content)
    return response.status_code, response.json()


def test_an_image_gets_its_label_and_how_far_it_is_certified(client: Any) -> None:
    """The lead of 0.6 falls by 3 for each unit of radius."""
    status, answer = ask(client, {"image": [0.5, 0.5], "epsilon": 0.1})
    assert (status, answer["label"], answer["certified"]) == (200, 0, True)
    assert answer["radius"] == np.float32(0.1)
    status, answer = ask(client, {"image": [0.5, 0.5], "epsilon": 0.4})
    assert (status, answer["label"], answer["certified"]) == (200, 0, False)
    assert 0.2 - 1e-3 < answer["radius"] <= 0.2
    assert ask(client, {"image": [0.0, 0.5], "epsilon": 0.0})[1]["label"] == 1


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ({"image": [0.5], "epsilon": 0.1}, "image: expected numbers of the shape [2]"),
        ({"image": [[0.5, 0.5]], "epsilon": 0.1}, "image: expected numbers of the shape [2]"),
        ({"image": ["black", 1], "epsilon": 0.1}, "image: expected numbers of the shape [2]"),
        ({"image": [[0.5], 1], "epsilon": 0.1}, "image: expected numbers of the shape [2]"),
        ({"image": [0.5, 1.5], "epsilon": 0.1}, "image: expected values in the range that"),
        ({"image": [0.5, 0.5], "epsilon": -1}, "epsilon: Input should be greater than or equal"),
        ({"image": [0.5, 0.5]}, "epsilon: Field required"),
        ({"image": 7, "epsilon": 0.1}, "image: Input should be a valid list"),
    ],
)
def test_what_is_no_image_is_refused_in_one_line(client: Any, content: Any, line: str) -> None:
    status, answer = ask(client, content)
    assert status == 422
    assert answer["detail"].startswith(line)
    assert "\n" not in answer["detail"]


def test_text_that_is_no_json_and_numbers_that_are_none_are_refused(client: Any) -> None:
    assert client.post("/certify", content="{").status_code == 422
    text = '{"image": [0.5, NaN], "epsilon": 0.1}'
    response = client.post("/certify", content=text, headers={"content-type": "application/json"})
    assert response.status_code == 422
    assert response.json()["detail"].startswith("image: expected values in the range")
