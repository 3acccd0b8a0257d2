"""What the site's builder does beyond its own: `mkdocs build` reads docs/, GitHub all of the repository.

A page is written once, with links as they lead on GitHub. Here those to a page outside docs/ are turned to where the
site has it, and those to code to the repository.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
OUTSIDE = ("README.md", "REPRODUCTION.md", "CHANGELOG.md", "CONTRIBUTING.md")  # pages that stand in the root
REPOSITORY = "https://github.com/recretrain/recretrain/blob/main"

LINK = re.compile(r"(\]\()([^)\s#]+)")
FETCHED = re.compile(r"<(?:script|img|iframe|link)\b[^>]*\b(?:src|href)=[\"']?(?:https?:)?//[^>]*>")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Give headings the addresses that GitHub gives them."""
    config.mdx_configs["toc"]["slugify"] = address
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Bring in the pages that stand in the root of the repository."""
    from mkdocs.structure.files import File

    for name in OUTSIDE:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Read the page as GitHub does."""
    name = page.file.src_uri
    source = (ROOT if name in OUTSIDE else DOCS) / name
    return apart(relinked(markdown, source))


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Refuse a page that fetches something from elsewhere; raises PluginError."""
    from mkdocs.exceptions import PluginError

    fetched = FETCHED.search(output)
    if fetched:
        raise PluginError(f"{page.file.src_uri} fetches {fetched[0]}; the site must work without a network")
    return output


def address(heading: str, separator: str) -> str:
    """The anchor of a heading on GitHub."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", separator)


def relinked(markdown: str, source: Path) -> str:
    """The text with each link that names a file of the repository as it leads on the site."""

    def led(link: re.Match[str]) -> str:
        target = Path(os.path.normpath(source.parent / link[2]))
        if not target.is_relative_to(ROOT) or not target.exists():
            return link[0]
        return f"{link[1]}{seen_from(target, source)}"

    return LINK.sub(led, markdown)


def seen_from(target: Path, source: Path) -> str:
    """Where the site has a file, seen from a page; in the repository where the site has it not."""
    if target == DOCS / "methods":
        target /= "README.md"
    if not place(target):
        return f"{REPOSITORY}/{target.relative_to(ROOT)}"
    return os.path.relpath(place(target), Path(place(source)).parent)


def place(file: Path) -> str:
    """The path of a file below the site's pages, or "" where it is none of them."""
    if file.is_file() and file.is_relative_to(DOCS):
        return str(file.relative_to(DOCS))
    return file.name if file.parent == ROOT and file.name in OUTSIDE else ""


def apart(markdown: str) -> str:
    """A list right behind a paragraph, which is a list on GitHub, set apart from it."""
    return re.sub(r"^(?!```|[\s|#>*-])(.+)\n(?=- )", r"\1\n\n", markdown, flags=re.MULTILINE)
