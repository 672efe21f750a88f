"""Hook of mkdocs: equations become MathML while the site is built, so that pages need no script and no network.

Docstrings end a line before a literal block with two colons; one is shown.
"""

import html
import re
from typing import Any

from latex2mathml.converter import convert

EQUATION = re.compile(r'<(span|div) class="arithmatex">(?:\\\((.*?)\\\)|\\\[(.*?)\\\])</\1>', re.DOTALL)


def on_page_content(content: str, **_: Any) -> str:
    """Replace what the extension arithmatex has marked, and double colons."""
    return EQUATION.sub(_mathml, content).replace("::</p>", ":</p>")


def _mathml(match: re.Match[str]) -> str:
    inline, block = match[2], match[3]
    if block is not None:
        return f'<div class="equation">{convert(html.unescape(block).strip(), display="block")}</div>'
    return convert(html.unescape(inline))
