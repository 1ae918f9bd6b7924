"""Plant, look, take away: what was noticed of each seed, and whether the hosts are as they were."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import lynis
import noticing
from seeds import Seed

from egovctl import lab, transport
from egovctl.checks.context import Context
from egovctl.checks.model import Check, Result

SETTLE_SECONDS = 90  # a clock daemon or a routing session that was restarted needs a while
COSTED = "minqin-education"
Told = dict[str, list[str]]
Results = dict[str, Result]


def run(
    context: Context, chosen: list[Seed], tools: Path | None, rounds: int, kinds: Collection[str] = ()
) -> dict[str, Any]:
    """All figures but what machine they are of. `kinds`: the sources of the seeds that Lynis looks at, too."""
    checks = noticing.checks_of_hosts(context)
    hosts = sorted(name for name, subject in context.subjects("host").items() if subject["managed"])
    first = noticing.look_at_all(context, hosts, checks)
    again = noticing.look_at_all(context, hosts, checks)
    audited = sorted({seed.host for seed in chosen} | {COSTED}) if tools else []
    try:
        for host in audited:
            lynis.install(context.inventory, host, tools or Path())
        costs = _costs(context, checks, rounds, bool(tools))
        planted = _Planted(context, checks, first, kinds if tools else ())
        found = planted.all(chosen)
    finally:
        for host in audited:
            lynis.remove(context.inventory, host)
    touched = sorted({seed.host for seed in chosen})
    left = {host: planted.settled(host) for host in touched}
    return {
        "checks": len(checks),
        "hosts": len(hosts),
        "pairs": sum(map(len, first.values())),
        "false_alarms": {host: names for host in hosts if (names := noticing.differing(first[host], again[host]))},
        "red": _red(first),
        "costs": costs,
        "lynis": sorted(kinds) if tools else [],
        "seeds": found,
        "left_behind": {host: names for host, names in left.items() if names},
    }


def _red(said: Mapping[str, Results]) -> dict[str, int]:
    """The checks that fail before anything is planted, and on how many hosts."""
    names = [name for one in said.values() for name, result in one.items() if result.status in noticing.BAD]
    return {name: names.count(name) for name in sorted(set(names))}


def _costs(context: Context, checks: list[Check], rounds: int, audit: bool) -> list[dict[str, float]]:
    """Alternating: one look with its judging, one run of Lynis, on the same host."""
    found = []
    for _ in range(rounds):
        said = noticing.look(context, COSTED, checks)
        one = {"look_wall": said.wall, "look_cpu_host": said.cpu_host, "look_cpu_here": said.cpu_here}
        if audit:
            run = lynis.audit(context.inventory, COSTED)
            one |= {"lynis_wall": run.wall, "lynis_cpu": run.cpu}
        found.append(one)
    return found


class _Planted:
    """Plants one seed after the other; knows what the hosts said before, and what the last seed was noticed by."""

    def __init__(
        self, context: Context, checks: list[Check], first: Mapping[str, Results], kinds: Collection[str]
    ) -> None:
        self.context, self.checks, self.first, self.kinds = context, checks, first, kinds
        self.last: dict[str, Told] = {}
        self.stopped = False
        self.audits: dict[tuple[str, str], frozenset[str]] = {}

    def all(self, chosen: list[Seed]) -> list[dict[str, Any]]:
        """What was noticed of each, in their order; one at a time on a host, hosts at the same time."""
        by_host: dict[str, list[Seed]] = {}
        for seed in chosen:
            by_host.setdefault(seed.host, []).append(seed)
        with ThreadPoolExecutor(len(by_host) or 1) as pool:
            told = pool.map(self._in_turn, by_host.values())
            try:
                found = {one["id"]: one for part in told for one in part}
            finally:
                self.stopped = True
        return [found[seed.id] for seed in chosen]

    def _in_turn(self, seeds: list[Seed]) -> list[dict[str, Any]]:
        """One host's seeds; when the bench is ended, the one that is planted is taken away and no other is planted."""
        return [self.one(seed) for seed in seeds if not self.stopped]

    def one(self, seed: Seed) -> dict[str, Any]:
        """What was noticed of a seed. What the last one was noticed by may be its echo: then the host gets time to
        settle, and the seed is planted once more. One that cannot be planted is a miss, and says why."""
        fault = ""
        try:
            checks, audit = self._twice(seed)
        except RuntimeError as error:
            checks, audit, fault = {}, None, str(error)
            self.settled(seed.host)
        self.last[seed.host] = checks
        by = ", ".join(sorted(checks)) or fault or "NOTHING"
        print(f"{seed.id}: {by}{'; lynis: ' + ', '.join(audit) if audit else ''}", flush=True)
        return {
            "id": seed.id,
            "what": seed.what,
            "source": seed.source,
            "host": seed.host,
            "checks": checks,
            "lynis": audit,
            "fault": fault,
        }

    def _twice(self, seed: Seed) -> tuple[Told, list[str] | None]:
        if self._audited(seed) and (seed.host, seed.area) not in self.audits:
            self.audits[seed.host, seed.area] = lynis.audit(self.context.inventory, seed.host, seed.area).told
        checks, audit = self._seen(seed)
        if any(checks.get(name) == what for name, what in self.last.get(seed.host, {}).items()):
            self.settled(seed.host)
            checks, audit = self._seen(seed)
        return checks, audit

    def _seen(self, seed: Seed) -> tuple[Told, list[str] | None]:
        inventory = self.context.inventory
        # Of some seeds sshd takes such offence that it lets nobody in any more, control as little as others.
        transport.run(inventory, seed.host, ["true"])
        try:
            self._shell(seed.host, seed.planting, f"{seed.id} could not be planted")
            said = noticing.look(self.context, seed.host, self.checks)
            before = self.audits.get((seed.host, seed.area)) if self._audited(seed) else None
            more = None if before is None else sorted(lynis.audit(inventory, seed.host, seed.area).told - before)
        finally:
            self._shell(seed.host, seed.removal, f"{seed.id} could not be taken away")
        return noticing.noticed(self.first[seed.host], said.results), more

    def _audited(self, seed: Seed) -> bool:
        return seed.source.partition(":")[0] in self.kinds

    def settled(self, host: str) -> list[str]:
        """Wait until a host is as it was; the checks that say that it is not."""

        def differing() -> list[str]:
            return noticing.differing(self.first[host], noticing.look(self.context, host, self.checks).results)

        return _until(differing)

    def _shell(self, host: str, program: str, otherwise: str) -> None:
        done = lab.exec_in(self.context.inventory, host, ["sh", "-s"], input=program)
        if done.returncode != 0:
            raise RuntimeError(f"{otherwise}: {done.stderr.strip()[-300:]}")


def _until(ask: Callable[[], list[str]]) -> list[str]:
    end = time.monotonic() + SETTLE_SECONDS
    while (wrong := ask()) and time.monotonic() < end:
        time.sleep(3)
    return wrong
