"""Is a host well right after a change? A few checks, again and again for a while: routing takes its time."""

from __future__ import annotations

import time
from collections.abc import Sequence

from egovctl.apply.enrolment import read_record
from egovctl.checks import content
from egovctl.checks.context import Context, open_context
from egovctl.checks.engine import run_checks
from egovctl.checks.judge import compiled
from egovctl.checks.model import Result, Status
from egovctl.errors import JudgedFailure
from egovctl.i18n import pick, tr
from egovctl.paths import Inventory
from egovctl.plan import Plan
from egovctl.plan.addresses import Numbering
from egovctl.plan.models import Site, Text

CHECKS = ("units-active", "neighbours-up")
PAUSE = 1.0


def prove(inventory: Inventory, hosts: Sequence[str], seconds: float, checks: Sequence[str] = CHECKS) -> None:
    """Return once `checks` are good on the hosts; JudgedFailure with the first reason if not after `seconds`."""
    if not hosts:
        return
    context = open_context(inventory)
    limit = time.monotonic() + seconds
    while wrong := unwell(context, hosts, checks):
        if time.monotonic() > limit:
            first = wrong[0]
            reason = pick(first.detail)
            raise JudgedFailure(
                tr(
                    f"{first.subject}：{seconds:g} 秒后仍不正常（{first.check}）：{reason}",
                    f"{first.subject}: not well after {seconds:g} s ({first.check}): {reason}",
                )
            )
        time.sleep(PAUSE)


def warm() -> None:
    """Compile what the proof judges by: once, in the process that workers are forked from, instead of in each."""
    shelf = content.checks().entries
    for check in (shelf[name] for name in CHECKS):
        for expression in (check.where, check.measured, check.expression, *check.show.values()):
            compiled(expression)


def unwell(context: Context, hosts: Sequence[str], checks: Sequence[str]) -> list[Result]:
    """What is wrong on the hosts now."""
    shelf = content.checks(context.inventory).entries
    results = run_checks(context, [shelf[name] for name in checks], among=frozenset(hosts))
    return [result for result in results if not _good(context, result)]


def _good(context: Context, result: Result) -> bool:
    """A session with a site that nobody's way leads through may be down: it may be switched off, or next in line.

    So may one with a hub that was never there: the cores know of a new county before its hub can be reached. And one
    with a site that has just been retired may still be up: it is for this run to end it.
    """
    if result.status in (Status.PASS, Status.NOT_APPLICABLE):
        return True
    if result.check != "neighbours-up" or result.status is not Status.FAIL:
        return False
    missing = [str(item).split()[1].partition("@")[0] for item in result.shown.get("missing", [])]
    roles = {name: context.city.hosts[name].role for name in missing}
    backbone = [
        n for n, role in roles.items() if role == "core" or (role == "hub" and read_record(context.inventory, n))
    ]
    extra = {str(item).split()[1].partition("@")[0] for item in result.shown.get("extra", [])}
    return not backbone and extra <= retired_addresses(context.plan)


def retired_addresses(plan: Plan) -> set[str]:
    """What the routers of the retired sites were called by their neighbours: the loopbacks that their numbers gave."""
    numbering, found = Numbering(plan.addressing), set()
    for item in plan.retired:
        site = Site(number=item.number, name=item.name, kind="department", title=Text(zh=item.name, en=item.name))
        found |= {str(numbering.loopback_v4(site, 1)), str(numbering.loopback_v6(site, 1))}
    return found
