"""What must hold of the nodes that keep backups."""

from __future__ import annotations

from collections.abc import Iterator

from egovctl.i18n import tr
from egovctl.plan.models import Plan, Site
from egovctl.plan.source import KeyPath

PULL_SECONDS = {"hourly": 3600, "daily": 86_400}


def offsite_fits(plan: Plan) -> Iterator[tuple[KeyPath, str]]:
    """(key path in city.yml, sentence): one off-site node at most, and only it pulls."""
    found = [i for i, site in enumerate(plan.sites) if site.kind == "offsite"]
    for i in found[1:]:
        first, name = plan.sites[found[0]].name, plan.sites[i].name
        yield (
            ("sites", i, "kind"),
            tr(
                f"站点 {name} 是第二个 offsite 站点，已有 {first}；最多一个",
                f"site {name} is a second one of kind offsite beside {first}; there can be one",
            ),
        )
    for i, site in enumerate(plan.sites):
        if site.pulls is not None and site.kind != "offsite":
            yield (
                ("sites", i, "pulls"),
                tr(
                    f"站点 {site.name}（{site.kind}）写了 pulls；只有 offsite 站点拉取备份，请去掉",
                    f"{site.kind} {site.name} has pulls; only an off-site node pulls backups, so take it out",
                ),
            )


def pull_seconds(site: Site) -> int:
    """Seconds between two pulls of an off-site node."""
    return PULL_SECONDS[site.pulls or "hourly"]
