"""The services that every city has, as samples of promises: the office corrects them before it is held to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from egovctl.plan.names import HOST_WORDS

CONFIGURED = ("core", "noc", "video", "services")  # by name, before the words that stand for many


def services_data(sites: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Network configuration, monitoring and backups, as far as the sites that they need are there."""
    linux = [site for site in sites if site.get("platform", "linux") == "linux"]
    named = [name for kind in CONFIGURED for site in linux if site["kind"] == kind for name in _routers(site)]
    words = [word for word, kinds in HOST_WORDS.items() if any(site["kind"] in kinds for site in linux)]
    core, noc, backup = (_first(sites, kind) for kind in ("core", "noc", "backup"))
    services: list[dict[str, Any]] = []
    if core and named:
        services.append(
            {
                **_service("network-configuration", "网络配置", "Network configuration", core, 3, 99.9, "15m", "1h"),
                "hosts": [*named, *words],
                "backup": {"engine": "borg", "paths": ["/etc/frr", "/etc/nftables.conf"], "schedule": "*:0/15"},
            }
        )
    if noc:
        monitoring = _service("monitoring", "网络监测", "Network monitoring", noc, 2, 99.5, "4h", "1d")
        services.append({**monitoring, "hosts": _routers(noc)})
    if backup:
        backups = _service("backups", "数据备份", "Backups", backup, 3, 99.5, "8h", "1d")
        services.append({**backups, "hosts": _routers(backup)})
    return services


def _service(
    name: str, zh: str, en: str, owner: dict[str, Any], grade: int, availability: float, rto: str, rpo: str
) -> dict[str, Any]:
    return {
        "name": name,
        "title": {"zh": zh, "en": en},
        "owner": owner["name"],
        "grade": grade,
        "availability": availability,
        "rto": rto,
        "rpo": rpo,
    }


def _first(sites: Sequence[dict[str, Any]], kind: str) -> dict[str, Any] | None:
    return next((site for site in sites if site["kind"] == kind), None)


def _routers(site: dict[str, Any]) -> list[str]:
    routers: list[str] = site.get("routers") or [site["name"]]
    return routers
