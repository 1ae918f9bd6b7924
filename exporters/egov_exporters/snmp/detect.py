"""Detection: from what a device says of itself (sysObjectID, sysDescr) to its family and the profiles that fit it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from egov_exporters.snmp.oid import Oid
from egov_exporters.snmp.profiles import load_profiles
from egov_exporters.snmp.schema import Detection, Profile

FIRST, LAST = ("if_mib",), ("system",)  # for every device: counters before anything else, words at the end
UNKNOWN = "unknown"
MAX_DESCR = 1_024  # characters of sysDescr that are looked at


@dataclass(frozen=True)
class Identity:
    """What a device is: its family, the modules to read in this order, how many requests it bears at once."""

    family: str
    profiles: tuple[str, ...]
    in_flight: int


def identify(sys_object_id: Oid, sys_descr: str, profiles: Mapping[str, Profile] | None = None) -> Identity:
    """The longest sysObjectID prefix wins, then a rule that also knows sysDescr; an unknown device has its interfaces.

    `profiles` are those of the package unless given.
    """
    known = load_profiles() if profiles is None else profiles
    best: tuple[int, bool, str] | None = None
    found: tuple[Profile, Detection] | None = None
    for profile in known.values():
        for rule in profile.detections:
            length = fit(rule, sys_object_id, sys_descr)
            if length is None:
                continue
            rank = (length, rule.pattern is not None, profile.name)
            if best is None or rank > best:
                best, found = rank, (profile, rule)
    if found is None:
        return Identity(UNKNOWN, _present((*FIRST, *LAST), known), 1)
    profile, rule = found
    return Identity(rule.family, _present((*FIRST, profile.name, *rule.modules, *LAST), known), rule.in_flight)


def fit(rule: Detection, sys_object_id: Oid, sys_descr: str) -> int | None:
    """How long the matching prefix is (0 where the rule goes by sysDescr alone), or None if the rule does not fit."""
    if rule.pattern is not None and not rule.pattern.search(sys_descr[:MAX_DESCR]):
        return None
    if not rule.prefixes:
        return 0
    lengths = [len(prefix) for prefix in rule.prefixes if sys_object_id[: len(prefix)] == prefix]
    return max(lengths) if lengths else None


def _present(names: Iterable[str], profiles: Mapping[str, Profile]) -> tuple[str, ...]:
    return tuple(name for name in dict.fromkeys(names) if name in profiles)
