"""One cell: what is read of it, and what it means. Cells come from a file that anybody may have made."""

from __future__ import annotations

import re
import reprlib
import unicodedata
from dataclasses import dataclass
from typing import Any

from egovctl.i18n import tr

MAX_CELL = 2000  # characters; the longest thing that a plan takes has 200
SEPARATORS = re.compile(r"[;,、\n]")
MBPS = re.compile(
    r"([1-9][0-9]{0,5})(?:\.0+)?\s*(?:(m|mb|mbps|mbit/s|mb/s|兆)|(g|gb|gbps|gbit/s|gb/s))?\Z", re.IGNORECASE
)
WHOLE = re.compile(r"[0-9]{1,9}\Z")
VIA = {"internet": "internet", "互联网": "internet", "公网": "internet", "line": "line", "专线": "line"}
BY_DHCP = ("dhcp", "自动", "自动获取", "{}")
HOST_ROLES = {"control": "control", "控制": "control", "管理机": "control", "switch": "switch", "交换机": "switch"}
KINDS = {
    "core": ("core", "核心", "核心节点", "市核心", "市级核心"),
    "hub": ("hub", "县级汇聚", "汇聚", "汇聚节点", "县汇聚", "区县汇聚", "aggregation", "countyhub"),
    "department": (
        "department",
        "部门",
        "单位",
        "市直部门",
        "市直单位",
        "县直部门",
        "县直单位",
        "委办局",
        "bureau",
        "office",
    ),
    "town": ("town", "乡镇", "镇", "乡", "街道", "township", "subdistrict"),
    "village": ("village", "村", "行政村", "社区", "村社区", "community"),
    "mobile": ("mobile", "应急", "移动应急", "应急移动", "应急通信", "emergency"),
    "noc": ("noc", "网管中心", "运行中心", "运维中心", "网络运行中心"),
    "backup": ("backup", "备份", "备份节点", "灾备"),
    "offsite": ("offsite", "异地", "异地备份", "异地备份节点", "异地灾备"),
    "video": ("video", "视频", "视讯", "视频会议"),
    "services": ("services", "服务", "service", "共享服务", "服务区", "sharedservices"),
}
KIND_OF_WORD = {word: kind for kind, words in KINDS.items() for word in words}


@dataclass(frozen=True)
class Unreadable:
    """A cell without a value that could be taken; `why` is the end of a sentence."""

    why: str


Cell = str | Unreadable


def tidy(text: str) -> Cell:
    """The text with one space for any white space and one line end for any line end, without invisible characters.

    Unreadable for what no plan can hold: control characters, half of a character, a template's expression.
    """
    shown = "".join(letter for letter in text if unicodedata.category(letter) != "Cf")
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    result = "\n".join(line for line in lines if line)
    if len(result) > MAX_CELL:
        return Unreadable(tr(f"超过 {MAX_CELL} 个字符", f"it has more than {MAX_CELL} characters"))
    if any(unicodedata.category(letter) in ("Cc", "Cs", "Co", "Cn") for letter in result.replace("\n", "")):
        return Unreadable(tr("含有控制字符或无法显示的字符", "it has characters that cannot be shown"))
    if "{{" in result or "{%" in result:
        return Unreadable(tr("规划中不允许 Jinja 表达式", "a Jinja expression is not allowed in a plan"))
    return result


def plain(text: str) -> str:
    """Full-width letters, digits and punctuation as their plain forms: for words and numbers, never for titles."""
    return unicodedata.normalize("NFKC", text)


def word(text: str) -> str:
    """A word as tables of words hold it: plain, lower case, without spaces and dashes."""
    return re.sub(r"[\s_/-]", "", plain(text).casefold())


def slug(title: str, longest: int = 32) -> str:
    """A DNS label from a title in Latin letters, whole words up to `longest` characters; "" when there is none."""
    latin = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    if any(ord(letter) > 0x24F and letter.isalpha() for letter in title):
        return ""  # a title with other letters: what is left of it would be a guess
    words = re.findall(r"[a-z0-9]+", latin.casefold())
    result = words[0][:longest] if words else ""
    for item in words[1:]:
        if len(result) + 1 + len(item) > longest:
            break
        result += f"-{item}"
    return result


def kind(text: str) -> str:
    """The plan's word for a kind of site; ValueError for a word that is none."""
    if found := KIND_OF_WORD.get(word(text)):
        return found
    known = tr("、".join(words[1] for words in KINDS.values()), ", ".join(KINDS))
    raise ValueError(
        tr(f"{_shown(text)} 不是站点类别；请写 {known} 之一", f"{_shown(text)} is no kind; write one of {known}")
    )


def whole(text: str) -> int:
    """A whole number; ValueError for anything else."""
    if not WHOLE.match(plain(text)):
        raise ValueError(tr(f"{_shown(text)} 不是整数", f"{_shown(text)} is no whole number"))
    return int(plain(text))


def mbps(text: str) -> int:
    """A bandwidth in Mbit/s: `100`, `100M`, `1G`; ValueError for anything else."""
    match = MBPS.match(plain(text).strip())
    if not match:
        raise ValueError(
            tr(
                f"{_shown(text)} 不是带宽；请写以 Mbit/s 计的数字，例如 100",
                f"{_shown(text)} is no bandwidth; write a number of Mbit/s, as in 100",
            )
        )
    return int(match[1]) * (1000 if match[3] else 1)


def entries(text: str) -> list[str]:
    """The entries of a cell that holds several: between semicolons, commas or line ends."""
    return [item.strip() for item in SEPARATORS.split(plain(text)) if item.strip()]


def names(text: str) -> list[str]:
    """Names, which spaces may part too."""
    return [name for item in entries(text) for name in item.split()]


def uplinks(text: str, bandwidth: str) -> list[dict[str, Any]]:
    """`ROUTER[:MBPS][:internet][:PREFIX]; ...` as the plan's uplinks, `to` as written; ValueError says what is wrong.

    `bandwidth` is the cell of the column beside: one number for all that have none of their own, or one for each.
    """
    links = [_uplink(item) for item in entries(text)]
    without = [link for link in links if "mbps" not in link]
    given = [mbps(item) for item in entries(bandwidth)]
    if without and len(given) not in (1, len(without)):
        to = without[0]["to"]
        raise ValueError(
            tr(
                f"到 {to} 的上联没有带宽；请写 {to}:100，或填写带宽列",
                f"the uplink to {to} has no bandwidth; write {to}:100, or fill in the bandwidth",
            )
        )
    if given and not without and set(given) - {link["mbps"] for link in links}:
        raise ValueError(
            tr(
                f"带宽列写的是 {_shown(bandwidth)}，上联列另有说法；请只写一处",
                f"the bandwidth column says {_shown(bandwidth)} and the uplinks say otherwise; write it once",
            )
        )
    for place, link in enumerate(without):
        link["mbps"] = given[0] if len(given) == 1 else given[place]
    # In the order that people read in the plan.
    return [{key: link[key] for key in ("to", "mbps", "via", "v4") if key in link} for link in links]


def _uplink(entry: str) -> dict[str, Any]:
    to, *rest = (part.strip() for part in entry.split(":"))
    link: dict[str, Any] = {"to": to}
    for part in rest:
        if (via := VIA.get(part.casefold())) is not None:
            if via == "internet":
                link["via"] = via
        elif "/" in part and not MBPS.match(part):
            link["v4"] = part
        else:
            link["mbps"] = mbps(part)
    if not to:
        raise ValueError(tr(f"{_shown(entry)} 没有写上联到哪里", f"{_shown(entry)} does not say where to"))
    return link


def internet(text: str, routers: list[str]) -> dict[str, dict[str, str]]:
    """`[ROUTER:]ADDRESS/LENGTH [GATEWAY]; ...`, or `dhcp`, by router; the first router's where none is named."""
    result: dict[str, dict[str, str]] = {}
    for entry in (item.strip() for item in re.split(r"[;、\n]", plain(text)) if item.strip()):
        name, colon, rest = entry.rpartition(":")
        router = name.strip() if colon else routers[0]
        parts = rest.replace(",", " ").split()
        if router in result or not 1 <= len(parts) <= 2:
            raise ValueError(
                tr(
                    f"{_shown(entry)} 无法理解；请写 地址/长度 [网关] 或 dhcp，核心写 路由器: 地址/长度",
                    f"{_shown(entry)} is not understood; write ADDRESS/LENGTH [GATEWAY] or dhcp, "
                    "with ROUTER: before it at the core",
                )
            )
        if parts[0].casefold() in BY_DHCP and len(parts) == 1:
            result[router] = {}
        else:
            result[router] = dict(zip(("v4", "gateway_v4"), parts, strict=False))
    return result


def hosts(text: str) -> list[dict[str, Any]]:
    """`NAME:ROLE:INDEX[:PLATFORM]; ...` as the plan's hosts of a LAN; ValueError says what is wrong."""
    result = []
    for entry in entries(text):
        parts = [part.strip() for part in entry.split(":")]
        role = HOST_ROLES.get(parts[1].casefold()) if len(parts) in (3, 4) else None
        if role is None:
            raise ValueError(
                tr(
                    f"{_shown(entry)} 无法理解；请写 名称:switch:20:unmanaged（名称:角色:编号[:平台]）",
                    f"{_shown(entry)} is not understood; write NAME:switch:20:unmanaged (name, role, index, platform)",
                )
            )
        platform = {"platform": parts[3]} if len(parts) == 4 else {}
        result.append({"name": parts[0], "role": role, **platform, "index": whole(parts[2])})
    return result


def manage(text: str) -> list[str] | None:
    """The bundles that are applied to a site's routers; None for all of them."""
    match word(text):
        case "all" | "全部":
            return None
        case "none" | "无" | "不管理":
            return []
        case _:
            return names(text)


def _shown(text: str) -> str:
    return reprlib.repr(text)
