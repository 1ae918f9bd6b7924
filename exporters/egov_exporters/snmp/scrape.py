"""One scrape: resolve, open a session, read each module until the deadline, decode what arrived."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from egov_exporters.snmp.config import Auth
from egov_exporters.snmp.decode import Decoded, decode
from egov_exporters.snmp.expose import Family, Labels, Sample
from egov_exporters.snmp.profiles import Profile
from egov_exporters.snmp.session import Session, SessionError
from egov_exporters.snmp.targets import Target, resolve
from egov_exporters.snmp.v2c import open_v2c
from egov_exporters.snmp.v3 import V3Engine, open_v3
from egov_exporters.snmp.walk import Harvest, read_profile

GRACE_SECONDS = 150.0  # longer than any scrape may take
MODULE_GAUGES = (
    ("snmp_module_success", "Whether the module was read completely (1) or only in part (0)."),
    ("snmp_scrape_duration_seconds", "Total SNMP time scrape took (walk and processing)."),
    ("snmp_scrape_packets_retried", "Packets retried for get, bulkget, and walk."),
    ("snmp_scrape_packets_sent", "Packets sent for get, bulkget, and walk; including retries."),
    ("snmp_scrape_pdus_returned", "PDUs returned from get, bulkget, and walk."),
    ("snmp_scrape_walk_duration_seconds", "Time SNMP walk/bulkwalk took."),
)


@dataclass
class ModuleResult:
    """What one module gave, and what it took (seconds, datagrams)."""

    name: str
    harvest: Harvest = field(default_factory=Harvest)
    decoded: Decoded = field(default_factory=Decoded)
    seconds: float = 0.0
    walk_seconds: float = 0.0
    sent: int = 0
    retried: int = 0

    def gauges(self) -> tuple[float, ...]:
        """Values in the order of MODULE_GAUGES."""
        success = int(self.harvest.complete)
        return success, self.seconds, self.retried, self.sent, self.harvest.varbinds, self.walk_seconds


@dataclass
class ScrapeResult:
    """All modules of a scrape. When it ended early, `failure` completes the sentence "TARGET ..."."""

    modules: list[ModuleResult]
    failure: str = ""

    @property
    def answered(self) -> bool:
        """Whether the target gave anything to serve, or told us to the end that it has nothing."""
        return any(
            one.harvest.has_data or (one.harvest.finished and not one.harvest.problems()) for one in self.modules
        )

    @property
    def complete(self) -> bool:
        """Whether every module was read to its end."""
        return all(module.harvest.complete for module in self.modules)

    def problems(self) -> Counter[str]:
        """What was left out or ended early, by reason, over all modules."""
        return sum((module.decoded.problems for module in self.modules), Counter[str]())

    def families(self) -> list[Family]:
        """Everything to show: the modules' families, then the gauges about the scrape itself."""
        shown = [family for module in self.modules for family in module.decoded.families]
        for position, (name, text) in enumerate(MODULE_GAUGES):
            samples = [Sample(Labels((("module", one.name),)), one.gauges()[position]) for one in self.modules]
            shown.append(Family(name, "gauge", text, samples))
        return shown


class Engines:
    """The pysnmp engines of the v3 auths, made at first use."""

    def __init__(self) -> None:
        self._engines: dict[Auth, V3Engine] = {}

    def get(self, auth: Auth) -> V3Engine:
        """The engine of this auth; a stale one is replaced."""
        engine = self._engines.get(auth)
        if engine is not None and engine.stale:
            self._retire(auth)
            engine = None
        if engine is None:
            engine = self._engines[auth] = V3Engine(auth)
        return engine

    def _retire(self, auth: Auth) -> None:
        """Give up an engine once the scrapes that still use it must have ended."""
        asyncio.get_running_loop().call_later(GRACE_SECONDS, self._engines.pop(auth).close)

    def retain(self, auths: Sequence[Auth]) -> None:
        """Give up the engines of auths that are gone."""
        for auth in [auth for auth in self._engines if auth not in auths]:
            self._retire(auth)

    def close(self) -> None:
        """Give up all engines."""
        for engine in self._engines.values():
            engine.close()
        self._engines.clear()


async def open_session(target: Target, auth: Auth, engines: Engines) -> Session:
    """A session with the target. Raises SessionError when it has no address or no route."""
    family, address = await resolve(target)
    if auth.version == 3:
        return await open_v3(address, family, engines.get(auth))
    return await open_v2c(address, family, auth.community.encode())


async def scrape(opener: Callable[[], Awaitable[Session]], profiles: Sequence[Profile], seconds: float) -> ScrapeResult:
    """Read `profiles` from the session that `opener` gives, within `seconds`. Never raises for what a device does."""
    result = ScrapeResult([ModuleResult(profile.name) for profile in profiles])
    session: Session | None = None
    try:
        async with asyncio.timeout(seconds):
            session = await opener()
            for module, profile in zip(result.modules, profiles, strict=True):
                await _read_module(session, profile, module)
    except TimeoutError:
        result.failure = f"did not finish within {seconds:.1f} s"
    except SessionError as why:
        result.failure = str(why)
    else:
        result.failure = "" if result.answered else "answers every request with an error"
    finally:
        if session is not None:
            session.close()
    for module, profile in zip(result.modules, profiles, strict=True):
        started = time.perf_counter()
        if module.harvest.columns or module.harvest.scalars:
            module.decoded = decode(profile, module.harvest)
        module.seconds = module.walk_seconds + time.perf_counter() - started
    return result


async def _read_module(session: Session, profile: Profile, module: ModuleResult) -> None:
    """Read one module; durations and traffic are noted also when it breaks off."""
    started = time.perf_counter()
    sent, retried = session.traffic.sent, session.traffic.retried
    try:
        await read_profile(session, profile, module.harvest)
    finally:
        module.walk_seconds = time.perf_counter() - started
        module.sent = session.traffic.sent - sent
        module.retried = session.traffic.retried - retried
