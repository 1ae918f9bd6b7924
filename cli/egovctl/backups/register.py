"""The register of backups: every archive that control has ever seen, from its evidence, less those that it retired.

The backup node can be made to show less than there was; it cannot change what control wrote down. An archive is known
by its id, which is the hash of what it holds: another one under the same name is another one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from egovctl.drill.borg import Deadline, Repository
from egovctl.evidence import Chain, Record

LOOK, ACCEPTED = "backup.look", "backup.accepted"
PLANNED, RETIRED = "backup.retention.planned", "backup.retention"
NAME = re.compile(r"(?P<service>[a-z0-9-]+)-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\Z")
LONGEST_BACKUP = timedelta(days=1)  # an archive has the time of its begin, and is seen when it is whole
AHEAD = timedelta(minutes=5)


@dataclass(frozen=True)
class Archived:
    """One archive as borg lists it. `at` is the time in it, UTC, RFC 3339: the client's word."""

    id: str
    name: str
    at: str

    @property
    def service(self) -> str:
        """The service whose backup it is; "" when its name is none of ours."""
        found = NAME.match(self.name)
        return found["service"] if found else ""

    @property
    def moment(self) -> datetime:
        return datetime.fromisoformat(self.at)


@dataclass(frozen=True)
class Known:
    """What control knows of one repository: archives by id, and when it looked last."""

    archives: Mapping[str, Archived]
    looked_at: datetime | None


@dataclass(frozen=True)
class Seen:
    """What a look at a repository found. `missing` were there once; `strange` are archives that no backup made."""

    host: str
    archives: tuple[Archived, ...]
    new: tuple[Archived, ...]
    missing: tuple[Archived, ...]
    strange: tuple[Archived, ...]

    @property
    def whole(self) -> bool:
        """Whether the list is a superset of the register, and nothing in it is strange."""
        return not self.missing and not self.strange


def known(records: Iterable[Record]) -> dict[str, Known]:
    """host → what the evidence says of its repository."""
    archives: dict[str, dict[str, Archived]] = {}
    looked: dict[str, datetime] = {}
    for record in records:
        if record.kind == LOOK:
            for host, found in record.body["hosts"].items():
                looked[host] = datetime.fromisoformat(record.at)
                archives.setdefault(host, {}).update({item["id"]: Archived(**item) for item in found["new"]})
        elif record.kind == ACCEPTED:
            mine = archives.setdefault(record.body["host"], {})
            for item in record.body["missing"]:
                mine.pop(item["id"], None)
            mine.update({item["id"]: Archived(**item) for item in record.body["strange"]})
        elif record.kind == RETIRED:
            for item in record.body["deleted"]:
                archives.get(record.body["host"], {}).pop(item["id"], None)
    return {host: Known(archives.get(host, {}), at) for host, at in looked.items()}


def first_needed(records: Iterable[Record]) -> int:
    """The earliest record that the register still rests on; beyond all when it rests on none."""
    since: dict[tuple[str, str], int] = {}
    end = 0
    for record in records:
        end = record.seq + 1
        if record.kind == LOOK:
            for host, found in record.body["hosts"].items():
                since |= {(host, item["id"]): record.seq for item in found["new"]}
        elif record.kind in (ACCEPTED, RETIRED):
            for item in record.body["missing" if record.kind == ACCEPTED else "deleted"]:
                since.pop((record.body["host"], item["id"]), None)
            for item in record.body.get("strange", ()):
                since[record.body["host"], item["id"]] = record.seq
    return min(since.values(), default=end)


def listed(repository: Repository, deadline: Deadline) -> tuple[Archived, ...]:
    """All archives of a repository, oldest first."""
    data = json.loads(repository.call(["list", "--json", repository.location], deadline))
    found = [Archived(str(item["id"]), str(item["name"]), _utc(str(item["start"]))) for item in data["archives"]]
    return tuple(sorted(found, key=lambda item: (item.at, item.name)))


def compare(host: str, archives: tuple[Archived, ...], before: Known | None, now: datetime) -> Seen:
    """A repository's list against the register.

    Strange are archives with a name that no backup gives, from the future, and those that turn up now with a time at
    which control would have seen them: who can write may make such ones, so that retention keeps them for true ones.
    """
    registered = before.archives if before else {}
    ids = {item.id for item in archives}
    new = tuple(item for item in archives if item.id not in registered)
    missing = tuple(item for key, item in registered.items() if key not in ids)
    earliest = before.looked_at - LONGEST_BACKUP if before and before.looked_at else None
    strange = tuple(
        item
        for item in new
        if not item.service or item.moment > now + AHEAD or (earliest is not None and item.moment < earliest)
    )
    return Seen(host, archives, new, missing, strange)


def record_look(chain: Chain, seen: Iterable[Seen], silent: Mapping[str, dict[str, str]]) -> Record:
    """Write down what was seen. Strange archives are named, and do not enter the register."""
    hosts = {item.host: _body(item) for item in seen}
    return chain.append(LOOK, {"hosts": hosts, "silent": dict(silent)})


def accept(chain: Chain, seen: Seen, who: str) -> Record:
    """A person has looked into it: what is missing is let go, what is strange is known from now on."""
    lost, odd = ([asdict(item) for item in items] for items in (seen.missing, seen.strange))
    return chain.append(ACCEPTED, {"host": seen.host, "missing": lost, "strange": odd, "by": who})


def _body(seen: Seen) -> dict[str, Any]:
    return {
        "archives": len(seen.archives),
        "new": [asdict(item) for item in seen.new if item not in seen.strange],
        "missing": [asdict(item) for item in seen.missing],
        "strange": [asdict(item) for item in seen.strange],
    }


def _utc(text: str) -> str:
    """Borg prints the local time of the machine that it runs on."""
    return datetime.fromisoformat(text).astimezone(UTC).isoformat(timespec="seconds")
