"""What the documents promise: citations are listed, links lead somewhere."""

import ast
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
REFERENCES = (ROOT / "docs" / "references.md").read_text()
LISTED = re.findall(r"\*\*([A-Z][\w, &.'-]+?)\*\*", REFERENCES)
CITED = re.compile(
    r"([A-Z][\w'-]+)(?: et al\.| & [A-Z][\w-]+|, [A-Z]\w+ (?:&|and) [A-Z]\w+)? \(?((?:19|20)\d\d)\b"
)
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
OURS = ("rt_tf", "pipelines", "benchmarks")
NO_AUTHORS = {"In"}  # words before a year


def test_citations_of_the_code_are_in_the_references() -> None:
    listed = {(re.split(r"[ ,]", entry)[0], entry[-4:]) for entry in LISTED}
    listed |= {("Palma", entry[-4:]) for entry in LISTED if entry.startswith("De Palma")}
    for path in sorted(ROOT.glob("rt_tf/**/*.py")):
        text = " ".join(path.read_text().split())
        for author, year in CITED.findall(text):
            assert (author, year) in listed or author in NO_AUTHORS - {"Palma"}, (
                f"{path}: {author} {year}"
            )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_pages_lead_to_files_and_headings(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", page.read_text()):
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), target
        if anchor and file.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}
            assert anchor in anchors, f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_exist(page: Path) -> None:
    """A path of the code is whole, or begins below `rt_tf`, `pipelines` or a room of theirs."""
    named = set(
        re.findall(
            r"[`\[ (]((?:[\w.-]+/)+[\w-]+\.(?:py|cfg|json|jsonl|svg|png))\b", page.read_text()
        )
    )
    existing = [
        f"/{path.relative_to(ROOT)}" for path in ROOT.rglob("*.*") if ".git" not in path.parts
    ]
    missing = [name for name in named if not any(path.endswith(f"/{name}") for path in existing)]
    assert not [
        name
        for name in missing
        if not name.startswith(("runs/", "report/", "best/", "records/radius-"))
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_imports_of_this_project_is_there(page: Path) -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL))
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in OURS:
            module = importlib.import_module(node.module or "")
            for name in node.names:
                if not hasattr(module, name.name):
                    importlib.import_module(f"{node.module}.{name.name}")
