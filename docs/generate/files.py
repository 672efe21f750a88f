"""Hook of mkdocs: files of the repository that pages link to, and pages that lie outside `docs/`.

A link of a page to a file outside `docs/`, say `../workflows/fig1.yaml`, works where the repository is browsed; in the
site it leads to a copy under `files/`.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
PAGES = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
LINK = re.compile(r"(?<=\]\()(\.\./[^)#\s]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages and the files that are linked to."""
    for source, target in PAGES.items():
        files.append(File.generated(config, target, abs_src_path=str(ROOT / source)))
    linked = {name for page in files.documentation_pages() for name in _outside(page.src_uri, page.content_string)}
    for name in sorted(linked - set(PAGES)):
        files.append(File.generated(config, f"files/{name}", abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Let links lead to the copies."""

    def copied(match: re.Match[str]) -> str:
        name = _name(page.file.src_uri, match[1])
        if name is None:
            return match[1]
        return posixpath.relpath(PAGES.get(name, f"files/{name}"), posixpath.dirname(page.file.src_uri) or ".")

    if page.file.src_uri in PAGES.values():
        return markdown.replace("](docs/", "](")
    return LINK.sub(copied, markdown)


def _outside(page: str, markdown: str) -> list[str]:
    return [name for link in LINK.findall(markdown) if (name := _name(page, link)) is not None]


def _name(page: str, link: str) -> str | None:
    """Return the path in the repository of a link that leaves `docs/` and finds a file, else None."""
    name = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), link))
    return name if not name.startswith("docs/") and (ROOT / name).is_file() else None
