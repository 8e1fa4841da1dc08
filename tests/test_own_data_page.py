"""docs/own_data.md does what it says, as its reader would try it."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "own_data.md").read_text()


@pytest.mark.slow
def test_the_page_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    exec(compile(code, "docs/own_data.md", "exec"), {})
    for line in "".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)).splitlines():
        script, command, *flags = shlex.split(line)
        assert script == "rt-tf"
        words = [sys.executable, "-m", f"pipelines.{command}", *flags]
        done = subprocess.run(words, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
    reports = {
        name: json.loads((tmp_path / "runs" / name / "report" / "report.json").read_text())
        for name in ("pictures", "cancer", "mine")
    }
    rates = {
        (name, question["epsilon"]): question["certified"]["rate"]
        for name, report in reports.items()
        for question in report["questions"]
    }
    assert rates["pictures", 0.05] > 0.5
    assert rates["cancer", 0.02] > 0.7
    assert rates["cancer", 0.01] >= rates["cancer", 0.03]
    assert reports["mine"]["data"]["class_names"] == ["nought", "one", "two"]
