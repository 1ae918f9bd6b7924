"""The machine's own apt configuration, as far as building the image needs it. No mirror is named in the project."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from egovctl.errors import EgovError
from egovctl.i18n import tr
from egovctl.lab.run import run

APT = Path("/etc/apt")
CODENAME = "bookworm"
SUITES = {CODENAME, f"{CODENAME}-updates", f"{CODENAME}-security"}
# What decides how packages are fetched. The rest of the machine's apt options is its own business.
FETCHING = re.compile(
    r"^(Acquire::(http|https|Retries|ForceIPv[46]|Check-Valid-Until|Check-Date|Proxy)\b|Dir::Etc::netrc)", re.I
)


def debian_sources(folder: Path = APT) -> str:
    """The machine's Debian 12 entries in deb822 form, other vendors' left out, for mmdebstrap.

    Raises EgovError when there is none: then the machine has no Debian 12 to clone.
    """
    stanzas: list[dict[str, str]] = []
    for path in (folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))):
        if path.suffix == ".sources":
            stanzas.extend(_deb822(path.read_text(encoding="utf-8")))
        elif path.suffix == ".list" and path.is_file():
            stanzas.extend(_one_line(path.read_text(encoding="utf-8")))
    if not any(CODENAME in stanza["Suites"].split() for stanza in stanzas):
        raise EgovError(
            tr(
                f"{folder} 中没有 Debian 12 的软件源（{CODENAME} main）：请在那里写上镜像站",
                f"{folder} names no source of Debian 12 ({CODENAME} main); add your mirror there",
            )
        )
    return "\n".join("".join(f"{key}: {value}\n" for key, value in stanza.items()) for stanza in stanzas)


def _deb822(text: str) -> Iterator[dict[str, str]]:
    for block in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        key = ""
        for line in block.splitlines():
            if line.startswith("#") or not line.strip():
                continue
            if line[0] in " \t" and key:
                fields[key] += f"\n{line}"
            elif ":" in line:
                key, value = line.split(":", 1)
                key = key.strip().title()
                fields[key] = value.strip()
        if fields.get("Enabled", "yes").lower() not in ("no", "false", "0"):
            yield from _wanted(fields)


def _one_line(text: str) -> Iterator[dict[str, str]]:
    for line in text.splitlines():
        if match := re.match(
            r"\s*deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<parts>[^#]+)", line
        ):
            fields = {
                "Types": "deb",
                "Uris": match["uri"],
                "Suites": match["suite"],
                "Components": match["parts"].strip(),
            }
            for word in (match["options"] or "").split():
                key, _, value = word.partition("=")
                fields[key.title()] = value
            yield from _wanted(fields)


def _wanted(fields: dict[str, str]) -> Iterator[dict[str, str]]:
    """The entry narrowed to Debian 12's own suites and to main; nothing when it has none of them."""
    suites = [suite for suite in fields.get("Suites", "").split() if suite in SUITES]
    if suites and "deb" in fields.get("Types", "").split() and "main" in fields.get("Components", "").split():
        yield {**fields, "Types": "deb", "Suites": " ".join(suites), "Components": "main"}


def fetching_options() -> list[str]:
    """The machine's proxies, credentials and date checks, as apt options; apt itself resolves its files."""
    dumped = run(["apt-config", "dump"]).stdout.splitlines()
    options = [line for line in dumped if FETCHING.match(line) and '"";' not in line]
    return [_absolute(line) if line.startswith("Dir::Etc::netrc") else line for line in options]


def _absolute(line: str) -> str:
    """mmdebstrap's apt has other folders than the machine's: name the credentials in full."""
    key, value = line.split(" ", 1)
    name = value.strip('";')
    return line if name.startswith("/") else f'{key} "{APT / name}";'
