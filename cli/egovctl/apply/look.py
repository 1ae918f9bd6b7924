"""One look at many hosts at once: which of them are as planned already, so that nothing more need be done there.

Ansible spends more on the start of a task for a host than the host on telling what it is like; so the hosts are asked
from here, all in one task. Whatever is not plainly as planned (something differs or is missing, it cannot be asked,
said something odd, or was changed and never proven) is left to the apply, which looks again and tells it in its words.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

from egovctl import transport
from egovctl.apply import differences, placeholders, prepare, probe, unproven
from egovctl.apply.enrolment import read_record
from egovctl.apply.manifest import Manifest
from egovctl.apply.on_host import SEARCH_PATH
from egovctl.errors import EgovError
from egovctl.i18n import tr
from egovctl.paths import Inventory
from egovctl.secrets import Secrets

SECONDS = 30.0
NAMED = 8  # hosts that the line names
PLACES = ("/etc/systemd/system", "/run/systemd/system")
ANSWERED, UNITS = "egov-systemd-answered", "egov-units-end"
UNSETTLED = "egov-unsettled"
# Given a host and a script for `/bin/sh -s`, run it there as root; what it printed.
Ask = Callable[[str, str], str]


@dataclass(frozen=True)
class Looked:
    """`same`: hosts that are as planned; `differing`: all others that were asked about, in their order."""

    same: tuple[str, ...]
    differing: tuple[str, ...]


def connections_of(inventory: Inventory) -> Path:
    """Where the look and Ansible keep their connections: what is to be changed is not logged in to twice."""
    return inventory.state / "cp"


def look(
    inventory: Inventory, build: Path, hosts: Sequence[str], bundles: Collection[str], near: Collection[str] = ()
) -> Looked:
    """Ask every host of `hosts`, but those in `near` that no ssh leads to; `bundles` empty: about all of them."""

    def one(host: str) -> bool:
        return not unproven.marked(inventory, host) and same_as_built(
            inventory, Manifest.load(build, host), list(bundles) or None, connections_of(inventory)
        )

    found = transport.each([host for host in hosts if host not in near], one)
    for answer in found.values():
        if isinstance(answer, Exception) and not isinstance(answer, EgovError):
            raise answer
    same = tuple(host for host in hosts if found.get(host) is True)
    return Looked(same, tuple(host for host in hosts if host not in same))


def same_as_built(
    inventory: Inventory, manifest: Manifest, bundles: list[str] | None = None, sockets: Path | None = None
) -> bool:
    """Ask one host over ssh, see `is_same` and transport.run; raises EgovError when it cannot be told."""

    def ask(host: str, text: str) -> str:
        argv = ["/bin/sh", "-s"]
        done = transport.run(inventory, host, argv, input=text.encode(), timeout=SECONDS, sockets=sockets)
        return done.stdout.decode("utf-8", "replace")

    enrolled = read_record(inventory, manifest.host).get("ssh_host_ed25519", "")
    words = {"wheelhouse": wheelhouse_digest(inventory)}
    return is_same(manifest, bundles, enrolled, Secrets(inventory).get, words, ask)


def told(seen: Looked) -> str:
    """One line for a person who watches."""
    as_planned, others = len(seen.same), ", ".join(seen.differing[:NAMED])
    more = len(seen.differing) - NAMED
    others += f" … +{more}" if more > 0 else ""
    if not seen.differing:
        return tr(f"全部 {as_planned} 台主机均与规划一致", f"all {as_planned} hosts are as planned")
    return tr(f"{as_planned} 台与规划一致；有差异：{others}", f"{as_planned} hosts are as planned; to apply: {others}")


def wheelhouse_digest(inventory: Inventory) -> str:
    """What control would install as the exporter's environment; empty when it was not built."""
    place = inventory.build.parent / "wheelhouse" / "DIGEST"
    return place.read_text(encoding="ascii").strip() if place.is_file() else ""


def is_same(
    whole: Manifest,
    bundles: list[str] | None,
    enrolled_key: str,
    secret: Callable[[str], str],
    words: Mapping[str, str],
    ask: Ask,
) -> bool:
    """Whether the host has all that its manifest says, packages, users and its bundles' own conditions included."""
    part = whole.only(bundles)
    nonce = probe.new_nonce()
    digests = {entry.path: entry.sha256 for entry in part.files if not entry.secrets}
    secret_files = {entry: part.content(entry) for entry in part.files if entry.secrets}
    found = [text for content in secret_files.values() for text in placeholders.find(content)]
    values = placeholders.resolve(found, secret)
    digests |= {
        entry.path: differences.wanted_digest(entry, content, values, nonce) for entry, content in secret_files.items()
    }
    wanted = prepare.wanted_of(part)
    answer = ask(whole.host, script(part, wanted, nonce, words))
    probe.refuse_other(whole.host, enrolled_key, answer)
    said, _, rest = answer.partition(f"{UNITS}\n")
    prepared, _, probed = rest.partition(f"{prepare.LAST}\n")
    seen = probe.parse(whole.host, probed, replace(part, units=()))
    if part.units and ANSWERED not in said.splitlines():
        return False
    seen.units = units_of([unit.name for unit in part.units], said)
    differs = differences.compare(whole, part, digests, seen, bundles)
    missing = prepare.missing(whole.host, wanted, f"{prepared}{prepare.LAST}\n")
    settled = UNSETTLED not in said.splitlines()
    return settled and differs.none and not (differs.unregistered or missing.packages or missing.users)


def script(part: Manifest, wanted: prepare.Wanted, nonce: list[str], words: Mapping[str, str]) -> str:
    """All questions in one script; it only reads."""
    parts = [f"LC_ALL=C PATH={SEARCH_PATH}; export LC_ALL PATH\n"]
    for command in part.settled.values():
        for name, value in words.items():
            command = command.replace(f"{{{name}}}", quote(value))
        parts.append(f"{{ {command}; }} >/dev/null 2>&1 || echo {UNSETTLED}\n")
    if part.units:
        parts.append(_units([unit.name for unit in part.units]))
    return (
        "".join(parts) + f"echo {UNITS}\n" + prepare.questions(wanted) + probe.command(replace(part, units=()), nonce)
    )


# systemd answers for one unit after the other, and reads all unit files to tell which are enabled: that was more than
# half of what a look cost. All active states come in one message; what enables and masks is links, and they are read.
def _units(names: list[str]) -> str:
    words = " ".join(map(quote, names))
    return (
        f"systemctl list-units --all --plain --full --no-legend --no-pager -- {words} 2>/dev/null && echo {ANSWERED}\n"
        f"find {' '.join(PLACES)} \\( -type l -o -type f -empty \\) -printf 'L %p\\n' 2>/dev/null\n"
    )


def units_of(names: Sequence[str], said: str) -> dict[str, tuple[str, str]]:
    """(enabled, active) of each unit in systemctl's words, as far as they can be told by this; unknown where not."""
    active: dict[str, str] = {}
    links: set[str] = set()
    wanted_by: dict[str, str] = {}
    for line in said.splitlines():
        words = line.split()
        if len(words) == 2 and words[0] == "L":
            links.add(words[1])
            folder, _, name = words[1].rpartition("/")
            if folder.endswith((".wants", ".requires")):
                persistent = folder.startswith(PLACES[0])
                wanted_by[name] = "enabled" if persistent else wanted_by.get(name, "enabled-runtime")
        elif len(words) > 3:
            active[words[0]] = words[2] if words[1] == "loaded" else "unknown"
    found = {}
    for name in names:
        masked = any(f"{place}/{name}" in links for place in PLACES)
        # Which word it is without a link (disabled, static, ...) is systemctl's to say; none of them is "enabled".
        found[name] = ("masked" if masked else wanted_by.get(name, "unknown"), active.get(name, "inactive"))
    return found
