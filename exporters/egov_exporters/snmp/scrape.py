"""One scrape of one device: each module by its plan or by the general path, within a deadline, and the page of it.

Whatever a device does, the page holds what arrived, and says of each module whether that is all.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain

from egov_exporters.snmp.ber import EXCEPTIONS
from egov_exporters.snmp.decode import Decoded, decode
from egov_exporters.snmp.detect import Identity
from egov_exporters.snmp.devices import PLAN_SECONDS, SYS_DESCR, SYS_OBJECT_ID, Device, Learned
from egov_exporters.snmp.dialogue import Dialogue
from egov_exporters.snmp.explain import Explained, explain
from egov_exporters.snmp.expose import Family, first_of_each_name, header, lines
from egov_exporters.snmp.fast import SYS_UPTIME, Plan, Stale
from egov_exporters.snmp.planning import make_plan
from egov_exporters.snmp.plausible import Numbers, Watch, shaken
from egov_exporters.snmp.profiles import Profile, load_profiles
from egov_exporters.snmp.reads import table_oids
from egov_exporters.snmp.session import AgentError, SessionError, Traffic
from egov_exporters.snmp.walk import Harvest, read_profile
from egov_exporters.snmp.wire import Peer, Wire

MODULE_GAUGES = (
    ("snmp_module_success", "Whether the module was read completely (1) or only in part (0)."),
    ("snmp_scrape_duration_seconds", "Total SNMP time scrape took (walk and processing)."),
    ("snmp_scrape_packets_retried", "Packets retried for get, bulkget, and walk."),
    ("snmp_scrape_packets_sent", "Packets sent for get, bulkget, and walk; including retries."),
    ("snmp_scrape_pdus_returned", "PDUs returned from get, bulkget, and walk."),
    ("snmp_scrape_walk_duration_seconds", "Time SNMP walk/bulkwalk took."),
)
TABLE_GAUGES = (
    ("snmp_table_complete", "Whether all of the table was read (1) or only a part (0)."),
    ("snmp_table_age_seconds", "Seconds since all of the table was read last."),
)
COUNTERS = (
    ("snmp_implausible_deltas_total", "Steps of octet counters that no link of that speed can make."),
    ("snmp_counter_discontinuities_total", "Restarts of the device, and counters that it says began anew."),
)
HEADS = {
    name: header(Family(name, kind, text, [])).decode()
    for kind, group in (("gauge", (*MODULE_GAUGES, *TABLE_GAUGES)), ("counter", COUNTERS))
    for name, text in group
}


@dataclass
class ModuleResult:
    """What one module gave, and what it took (seconds, datagrams). `read` holds the numbers of a plan that held."""

    profile: Profile
    harvest: Harvest = field(default_factory=Harvest)
    decoded: Decoded = field(default_factory=Decoded)
    auto: bool = False
    plan: Plan | None = None
    read: tuple[int, ...] = ()
    varbinds: int = 0  # of a plan
    numbers: Numbers = field(default_factory=dict)  # of the plan's watched families
    stale: str = ""
    seconds: float = 0.0
    walk_seconds: float = 0.0
    traffic: Traffic = field(default_factory=Traffic)

    @property
    def name(self) -> str:
        """The module's name."""
        return self.profile.name

    @property
    def complete(self) -> bool:
        """Whether all of it was read, and something was there."""
        return self.plan is not None or self.harvest.complete

    def gauges(self) -> tuple[float, ...]:
        """Values in the order of MODULE_GAUGES."""
        returned = self.varbinds if self.plan else self.harvest.varbinds
        return (
            int(self.complete), self.seconds, self.traffic.retried, self.traffic.sent, returned, self.walk_seconds,
        )  # fmt: skip

    def families(self) -> list[Family]:
        """The families of a general reading."""
        return first_of_each_name(self.decoded.families)


@dataclass
class ScrapeResult:
    """All modules of a scrape. When it ended early, `failure` completes the sentence "TARGET ..."."""

    modules: list[ModuleResult]
    failure: str = ""
    page: bytes = b""
    seconds: float = 0.0

    @property
    def answered(self) -> bool:
        """Whether the target gave anything to serve, or told us to the end that it has nothing."""
        return any(
            one.plan or one.harvest.has_data or (one.harvest.finished and not one.harvest.problems())
            for one in self.modules
        )

    @property
    def complete(self) -> bool:
        """Whether every module was read to its end."""
        return all(module.complete for module in self.modules)

    def problems(self) -> Counter[str]:
        """What was left out or ended early, by reason, over all modules."""
        return sum((module.decoded.problems for module in self.modules if not module.plan), Counter[str]())


async def scrape(
    wire: Wire, device: Device, profiles: Sequence[Profile], seconds: float, auto: bool = False
) -> ScrapeResult:
    """Read `profiles` from `device` within `seconds`; if `auto`, what its family has as well.

    Never raises for what a device does.
    """
    begun = time.monotonic()
    result = ScrapeResult([ModuleResult(profile) for profile in profiles])
    try:
        async with asyncio.timeout(seconds), device.busy:
            peer = await device.peer()
            if auto:
                result.modules += await _of_its_family(wire, device, peer, profiles)
            for module in result.modules:
                await _read_module(wire, device, peer, module)
    except TimeoutError:
        result.failure = f"did not finish within {seconds:.1f} s"
    except SessionError as why:
        result.failure = str(why)
    else:
        result.failure = "" if result.answered else "answers every request with an error"
    now = time.monotonic()
    for module in result.modules:
        _decode(device, module)
        _watch(device.of(module.profile), module, now)
    device.silent = 0 if result.answered else device.silent + 1
    result.modules = [module for module in result.modules if not _absent(device, module, now)]
    if not result.modules:
        result.failure = result.failure or "has nothing of what its family has"
    if device.silent:
        device.security.doubt()
    device.seconds = result.seconds = time.monotonic() - begun
    result.page = page(result, device, now)
    return result


async def _of_its_family(wire: Wire, device: Device, peer: Peer, profiles: Sequence[Profile]) -> list[ModuleResult]:
    """The modules of the device's family, but for those that were asked for anyway or that it did not have lately."""
    now = time.monotonic()
    if device.identity is None or now > device.identify_again:
        dialogue = Dialogue(wire, peer)
        try:
            found = await dialogue.get([SYS_DESCR, SYS_OBJECT_ID])
        except AgentError:
            found = []
        finally:
            device.count(sent=dialogue.traffic.sent, retried=dialogue.traffic.retried)
        device.named({oid: cell for oid, cell in found if cell.tag not in EXCEPTIONS}, now)
        peer.in_flight = max(device.in_flight, device.identity.in_flight if device.identity else 1)
    asked = {profile.name for profile in profiles}
    known = load_profiles()
    chosen = [known[name] for name in (device.identity.profiles if device.identity else ()) if name not in asked]
    return [ModuleResult(one, auto=True) for one in chosen if device.of(one).absent_until <= now]


async def _read_module(wire: Wire, device: Device, peer: Peer, module: ModuleResult) -> None:
    """By the plan if there is one that holds, else by the general path; time and traffic are noted also at a break."""
    learned, begun = device.of(module.profile), time.monotonic()
    plan = learned.usable(begun)
    try:
        if plan is not None and await _by_plan(wire, peer, plan, module, learned.watch):
            learned.whole_at = plan.labels_at
            learned.unsteady = 0
            return
        if module.stale:
            learned.stale(module.stale, begun)
        dialogue = Dialogue(wire, peer)
        also = [] if device.identity else [SYS_DESCR, SYS_OBJECT_ID]
        uptime = [] if any(one.oid == SYS_UPTIME for one in module.profile.scalars) else [(*SYS_UPTIME, 0)]
        try:
            await read_profile(dialogue, module.profile, module.harvest, [*also, *uptime])
        finally:
            module.traffic.add(dialogue.traffic)
        if also:
            device.named(module.harvest.also, begun)
    finally:
        module.walk_seconds = module.seconds = time.monotonic() - begun
        device.count(sent=module.traffic.sent, retried=module.traffic.retried)


async def _by_plan(wire: Wire, peer: Peer, plan: Plan, module: ModuleResult, watch: Watch | None) -> bool:
    """Whether the plan held."""
    now = time.monotonic()
    asked = plan.due(now)
    try:
        read = await _ask(wire, peer, plan, asked, module)
        module.numbers = {block.name: block.pick(read) for block in plan.watched}
        went_on = plan.ran_on(read, now)
        if len(asked) == len(plan.chunks):
            plan.labels_at = now
        elif not went_on or (watch is not None and shaken(watch.numbers, module.numbers)):
            await _ask(wire, peer, plan, [at for at, chunk in enumerate(plan.chunks) if chunk.labels], module)
            plan.labels_at = now
    except Stale as why:
        module.stale = str(why)
        return False
    module.plan, module.read = plan, read
    return True


async def _ask(wire: Wire, peer: Peer, plan: Plan, asked: Sequence[int], module: ModuleResult) -> tuple[int, ...]:
    """The numbers of some chunks. When the device falls silent, what came is kept for the general path to decode."""
    volley = wire.start(peer, [plan.chunks[at].request for at in asked])
    try:
        await volley.done
    except BaseException:
        module.harvest = plan.harvest(module.profile, asked, volley.replies)
        raise
    finally:
        wire.forget(volley)
        module.traffic.add(volley.traffic)
    module.varbinds += plan.varbinds(asked)
    return plan.read(asked, volley.replies)


def _decode(device: Device, module: ModuleResult) -> None:
    """Decode what the general path read, and learn from it how to read it again."""
    learned = device.of(module.profile)
    device.count(plans_held=int(module.plan is not None), plans_stale=int(bool(module.stale)))
    if module.plan is not None:
        return
    begun = now = time.monotonic()
    harvest, profile = module.harvest, module.profile
    if harvest.columns or harvest.scalars:
        module.decoded = decode(profile, harvest)
    if harvest.complete:
        learned.whole_at = now
        plan = make_plan(profile, harvest, module.decoded, learned.octets) if learned.may_plan(now) else None
        if plan is not None:
            plan.labels_at = now
        learned.keep(plan, now)
    else:
        learned.table_at.update((name, now) for name, whole in tables(module) if whole)
    module.seconds += time.monotonic() - begun


def _watch(learned: Learned, module: ModuleResult, now: float) -> None:
    """Compare counters with those of the scrape before."""
    plan = module.plan or (learned.plan if module.harvest.complete else None)
    if plan is None or not plan.watched:
        return
    learned.watch = learned.watch or Watch()
    rows = plan.watched[0].rows
    if module.plan is not None:
        learned.watch.look(module.numbers, rows, now)
        return
    names = {block.name for block in plan.watched}
    families = [family for family in module.decoded.families if family.name in names]
    learned.watch.look({one.name: tuple(sample.value for sample in one.samples) for one in families}, rows, now)


def _absent(device: Device, module: ModuleResult, now: float) -> bool:
    """Whether a module that was only asked for because of the family is not there: that is no failure."""
    there = not module.auto or module.complete or module.harvest.has_data or not module.harvest.finished
    if not there and not module.harvest.problems():
        device.of(module.profile).absent_until = now + PLAN_SECONDS
        return True
    return False


@dataclass
class Told:
    """What a target said of itself, and for each module what was found; `failure` completes "TARGET ..."."""

    identity: Identity | None
    modules: list[tuple[str, list[Explained]]]
    failure: str = ""


async def explain_target(
    wire: Wire, device: Device, profiles: Sequence[Profile], auto: bool, seconds: float = 60.0
) -> Told:
    """Read modules by the general path, for people. Never raises for what a device does."""
    modules = [ModuleResult(profile) for profile in profiles]
    failure = ""
    try:
        async with asyncio.timeout(seconds), device.busy:
            peer = await device.peer()
            modules += await _of_its_family(wire, device, peer, profiles) if auto else []
            for module in modules:
                await read_profile(Dialogue(wire, peer), module.profile, module.harvest, (SYS_DESCR, SYS_OBJECT_ID))
                device.named(module.harvest.also, time.monotonic())
    except TimeoutError:
        failure = f"did not finish within {seconds:.0f} s"
    except SessionError as why:
        failure = str(why)
    return Told(device.identity, [(one.name, explain(one.profile, one.harvest)) for one in modules], failure)


def tables(module: ModuleResult) -> list[tuple[str, bool]]:
    """Each table of the module and whether all of it was read."""
    read = {column.column for column in module.harvest.columns.values() if column.complete and not column.problem}
    return [(table.name, read.issuperset(table_oids(table))) for table in module.profile.tables]


def page(result: ScrapeResult, device: Device, now: float) -> bytes:
    """The text of a scrape: the modules' families, each name once, then what is said of the scrape itself."""
    seen: set[str] = set()
    parts: list[bytes] = []
    for module in result.modules:
        if module.plan is not None:
            parts += module.plan.page(module.read, seen)
            continue
        for family in module.families():
            if family.name not in seen:
                seen.add(family.name)
                parts += (header(family), lines(family))
    parts.append(_about(result.modules, device, now).encode())
    return b"".join(parts)


@lru_cache(maxsize=1_000)
def _gauges(modules: tuple[str, ...]) -> str:
    """The gauges of modules, with room for their values: gauge by gauge, in each the modules in their order."""
    return "".join(
        HEADS[name] + "".join(f'{name}{{module="{module}"}} %r\n' for module in modules) for name, _ in MODULE_GAUGES
    )


def _about(modules: list[ModuleResult], device: Device, now: float) -> str:
    """The gauges of modules and tables."""
    values = zip(*(module.gauges() for module in modules), strict=True)
    shown = [_gauges(tuple(module.name for module in modules)) % tuple(chain.from_iterable(values))]
    complete, age = (name for name, _ in TABLE_GAUGES)
    states = [
        _whole(module.name, tuple(module.plan.ages.items()), round(now - module.plan.labels_at))
        if module.plan
        else _tables(module, device.of(module.profile), now)
        for module in modules
    ]
    if any(lines_complete for lines_complete, _ in states):
        shown += (HEADS[complete], *(one for one, _ in states), HEADS[age], *(one for _, one in states))
    watches = [(module.name, watch) for module in modules if (watch := device.of(module.profile).watch)]
    if watches:
        implausible, breaks = (name for name, _ in COUNTERS)
        shown += (
            HEADS[implausible],
            *(f'{implausible}{{module="{name}"}} {one.implausible}\n' for name, one in watches),
        )
        shown += (HEADS[breaks], *(f'{breaks}{{module="{name}"}} {one.discontinuities}\n' for name, one in watches))
    return "".join(shown)


@lru_cache(maxsize=1_000)
def _whole(module: str, tables: tuple[tuple[str, bool], ...], seconds: int) -> tuple[str, str]:
    """The lines of a module that was read by its plan; a table whose labels rest is as old as these."""
    return _lines([(module, name, 1, float(seconds) if rests else 0.0) for name, rests in tables])


def _tables(module: ModuleResult, learned: Learned, now: float) -> tuple[str, str]:
    return _lines(
        [(module.name, name, int(whole), 0.0 if whole else learned.age(name, now)) for name, whole in tables(module)]
    )


def _lines(rows: list[tuple[str, str, int, float | None]]) -> tuple[str, str]:
    complete, age = (name for name, _ in TABLE_GAUGES)
    return (
        "".join(f'{complete}{{module="{module}",table="{table}"}} {whole}\n' for module, table, whole, _ in rows),
        "".join(
            f'{age}{{module="{module}",table="{table}"}} {old!r}\n' for module, table, _, old in rows if old is not None
        ),
    )
