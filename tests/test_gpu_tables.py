"""`benchmarks.gpu` on whatever device there is: its steps are timed, and its tables have all."""

import io

import numpy as np
import pytest
from rich.console import Console

from benchmarks import gpu


def shown(table: object) -> str:
    console = Console(width=140, file=io.StringIO())
    console.print(table)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def test_the_tables_have_a_row_for_each_network_system_and_compiler() -> None:
    rows = [
        {"network": "cnn7", "system": system, "format": form, "xla": xla}
        | {"milliseconds": 12.34, "of_floor": 0.5}
        for system in gpu.SYSTEMS
        for form in gpu.FORMATS
        for xla in (False, True)
    ]
    text = shown(gpu.step_table(rows))
    assert text.count("12.3, 50 %") == len(rows)
    assert all(text.count(f" {system} ") == 2 for system in gpu.SYSTEMS)
    certified = [{"network": "cnn7", "bound": "crown", "images_per_second": 1234.5}]
    assert "1,234" in shown(gpu.certification_table(certified))


def test_a_network_s_multiply_adds_are_those_of_its_layers() -> None:
    expected = 14 * 14 * 16 * 16 + 7 * 7 * 32 * 256 + 1568 * 100 + 100 * 10
    assert gpu.multiply_adds("wong_small") == expected


@pytest.mark.slow
@pytest.mark.parametrize("form", gpu.FORMATS)
def test_steps_are_taken_in_each_format(form: str) -> None:
    policy, _, tf32 = gpu.FORMATS[form]
    assert tf32 == (form == "TF32")
    job = gpu.training_step("wong_small", "ibp", policy, batch=4, xla=False)
    assert np.isfinite(job.run())
    job.turn()
    assert job.median > 0.0


def test_a_bound_certifies_some_images_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "BOUNDS", ("interval",))
    [row] = gpu.certification("wong_small", batch=2, rounds=1)
    assert row["bound"] == "interval"
    assert row["images_per_second"] > 0.0
