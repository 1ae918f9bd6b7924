"""Waves of an apply: a change meets one department first, then the rest of its county, then everybody, cores last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from egovctl.i18n import tr
from egovctl.plan import City

WAVES = ("wave_department", "wave_county")
# What the role `transaction` registers, in its order.
STEPS = ("transaction_prepared", "transaction_result", "transaction_proof")


def waves_of(city: City) -> dict[str, str]:
    """host → its wave; the hosts of no wave come after both. A city without counties has none: its first department.

    A department of which only some bundles are applied would prove little for the rest: it is first only if all are so.
    """
    managed = [host for host in city.hosts.values() if "managed" in host.groups]
    access = [host for host in managed if host.role == "access"]
    first = min(access, key=lambda host: (host.manage is not None, host.county is None), default=None)
    if first is None:
        return {}
    county = {host.name: WAVES[1] for host in managed if first.county is not None and host.county == first.county}
    return {**county, first.name: WAVES[0]}


def refuse_after(variables: Mapping[str, Mapping[str, Any]], hosts: Iterable[str]) -> str:
    """Why the next wave must not be touched, from what each host's steps have registered; empty when it may be."""
    for host in hosts:
        known = variables.get(host, {})
        for step in STEPS:
            said = known.get(step)
            if isinstance(said, Mapping) and said.get("failed") and not said.get("unreachable"):
                reason = str(said.get("msg", ""))
                return tr(
                    f"{host} 未能正常应用，到此为止，其余主机未动：{reason}",
                    f"{host} is not well, so the run stops here and leaves the other hosts as they are: {reason}",
                )
    return ""
