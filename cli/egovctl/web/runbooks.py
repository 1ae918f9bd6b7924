"""The runbooks of dashboards/ as HTML: headings, paragraphs, bold and code, which is all that they have."""

from __future__ import annotations

import html
import re
from pathlib import Path

LINE = re.compile(r"(`[^`]+`|\*\*[^*]+\*\*|\[[^\]]+\]\([^)]+\))")


def runbook(dashboards: Path, room: str) -> str | None:
    """The body of the room's runbook, its headings with the anchors that alerts name; None when there is none."""
    rooms = {path.parent.name: path for path in dashboards.glob("*/runbook.md")}
    if room not in rooms:
        return None
    found: list[str] = []
    for block in re.split(r"\n\s*\n|\n(?=#)|(?<=\n)(?=\*\*(?:en|zh)\*\* )", rooms[room].read_text(encoding="utf-8")):
        text = block.strip()
        heading = re.match(r"(#{1,3}) (.+?)(?:\n|$)", text)
        if heading:
            level, title = len(heading[1]), heading[2].strip()
            anchor = html.escape(title.lower().replace(" ", "-"), quote=True)
            found.append(f'<h{level} id="{anchor}">{_inline(title)}</h{level}>')
            text = text[heading.end() :].strip()
        if text:
            found.append(f"<p>{_inline(' '.join(text.split()))}</p>")
    return "\n".join(found)


def _inline(text: str) -> str:
    parts = []
    for part in LINE.split(text):
        if part.startswith("`"):
            parts.append(f"<code>{html.escape(part.strip('`'))}</code>")
        elif part.startswith("**"):
            parts.append(f"<strong>{html.escape(part.strip('*'))}</strong>")
        elif match := re.fullmatch(r"\[([^\]]+)\]\([^)]+\)", part):
            parts.append(html.escape(match[1]))  # files of the project, which are not served
        else:
            parts.append(html.escape(part))
    return "".join(parts)
