"""What must hold across the windows of maintenance: of one thing that is there, and short enough to be meant."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from egovctl.i18n import tr
from egovctl.plan.models import Plan
from egovctl.plan.source import KeyPath

# A longer one would be a way to silence a site for good; say it again each month, if it is meant.
LONGEST = timedelta(days=31)


def maintenance_known(plan: Plan) -> Iterator[tuple[KeyPath, str]]:
    """(key path in calendar.yml, sentence) for each fault."""
    sites = {site.name for site in plan.sites}
    services = {service.name for service in plan.services}
    for i, window in enumerate(plan.maintenance):
        here: KeyPath = ("maintenance", i)
        if (window.site is None) == (window.service is None):
            yield (
                here,
                tr(
                    f"检修第 {i + 1} 项应写 site 或 service 之一，且只写一个",
                    f"maintenance {i + 1} is of either a site or a service; write one of the two",
                ),
            )
        elif window.site is not None and window.site not in sites:
            yield (
                (*here, "site"),
                tr(f"检修的站点 {window.site} 不在规划中", f"maintenance is at {window.site}, which is no site"),
            )
        elif window.service is not None and window.service not in services:
            yield (
                (*here, "service"),
                tr(
                    f"检修的服务 {window.service} 不在规划中",
                    f"maintenance is of {window.service}, which is no service",
                ),
            )
        if not timedelta(0) < window.end - window.begin <= LONGEST:
            yield (
                (*here, "to"),
                tr(
                    f"检修的 to 应晚于 from，且不超过 {LONGEST.days} 天",
                    f"maintenance should end after it begins, within {LONGEST.days} days",
                ),
            )
