"""What a page was asked for: a board, what it is of, and how it shall look. Whatever the plan has not is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote, urlencode

from egovctl.boards import Board
from egovctl.boards.look import LANGUAGES, Lang
from egovctl.i18n import Told, told
from egovctl.web.atlas import Atlas
from egovctl.web.charts import Span

# A range and its step, in seconds: no chart has more than some 370 samples a line, whatever is asked.
RANGES: Mapping[str, tuple[int, int]] = {
    "1h": (3600, 15),
    "6h": (21600, 60),
    "24h": (86400, 300),
    "7d": (604800, 1800),
    "30d": (2592000, 7200),
}
THEMES = ("dark", "light")
KIOSK = range(5, 601)


class Refused(Exception):
    """What was asked is not there (404) or cannot be (400)."""

    def __init__(self, status: int, why: Told) -> None:
        self.status, self.why = status, why
        super().__init__(why)


@dataclass(frozen=True)
class View:
    """One page. `value` is what it is of, "" for the whole city; `kiosk` the seconds to the next one, 0 for never."""

    board: Board
    value: str
    lang: Lang
    theme: str
    span: str
    kiosk: int

    @classmethod
    def of(
        cls, boards: Mapping[str, Board], atlas: Atlas, name: str, value: str, asked: Mapping[str, str], default: Lang
    ) -> View:
        """The page asked for; Refused when there is no such page, or no such thing in the plan."""
        board = boards.get(name)
        if board is None:
            raise Refused(404, told("没有这个页面", "there is no such page"))
        if board.of is None and value:
            raise Refused(404, told("这个页面不针对单个对象", "this page is not of a single thing"))
        if board.of is not None and value not in atlas.values(board.of):
            raise Refused(404, told("规划中没有这个对象", "the plan has no such thing"))
        lang = next((one for one in LANGUAGES if one == asked.get("lang", default)), None)
        theme, span = asked.get("theme", THEMES[0]), asked.get("range", "6h")
        kiosk = asked.get("kiosk", "0")
        if lang is None or theme not in THEMES or span not in RANGES:
            raise Refused(
                400, told("lang、theme 或 range 的值不可用", "lang, theme or range has a value that it cannot have")
            )
        if kiosk != "0" and not (kiosk.isascii() and kiosk.isdigit() and len(kiosk) < 4 and int(kiosk) in KIOSK):
            raise Refused(400, told("kiosk 应为 5 至 600 秒", "kiosk is 5 to 600 seconds"))
        return cls(board, value, lang, theme, span, int(kiosk))

    def say(self, zh: str, en: str) -> str:
        """The text in the page's language."""
        return zh if self.lang == "zh" else en

    def asked(self) -> str:
        """How it looks, as the query of an address."""
        found = {"lang": self.lang, "theme": self.theme, "range": self.span}
        return urlencode(found | ({"kiosk": str(self.kiosk)} if self.kiosk else {}))

    def address(self, board: str, value: str = "", *, panel: str = "") -> str:
        """The address of another page (or of one panel of it) that looks as this one does."""
        parts = ["panel" if panel else "page", board, *([panel] if panel else []), *([value] if value else [])]
        return "/" + "/".join(quote(part, safe=":") for part in parts) + "?" + self.asked()

    def here(self, **changed: object) -> str:
        """This page, looking otherwise."""
        return replace(self, **changed).address(self.board.name, self.value)  # type: ignore[arg-type]

    def time(self, now: float) -> Span:
        """What its charts show."""
        wide, step = RANGES[self.span]
        return Span(now - wide, now, step)
