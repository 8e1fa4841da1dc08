"""Pages of the site that stand elsewhere in the repository: its front page, and two at its top.

MkDocs runs `on_files` before it builds (mkdocs.yml, hooks).
"""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changes.md": "CHANGELOG.md",
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages of the repository's top, with links as the site has them."""
    for page, source in PAGES.items():
        text = (ROOT / source).read_text()
        files.append(File.generated(config, page, content=_linked(text)))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Links from pages of docs/ to those at the repository's top."""
    for page, source in PAGES.items():
        markdown = markdown.replace(f"](../{source}", f"]({page}")
    return markdown


def _linked(text: str) -> str:
    """Links from the repository's top as links within the site; to other files, as code."""
    text = text.replace("](docs/", "](")
    for page, source in PAGES.items():
        text = text.replace(f"]({source}", f"]({page}")
    return re.sub(r"\[`?([^\]`]*)`?\]\((?:examples|configs)[^)]*\)", r"`\1`", text)
