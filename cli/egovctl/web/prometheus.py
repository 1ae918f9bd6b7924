"""Asking Prometheus while pages wait: a few questions at a time, and the same question once an interval."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from egovctl.prometheus import alerts_of, data_of, evaluated_each, result_of, silent

AT_ONCE = 8
SECONDS = 10.0
DEFAULT_INTERVAL = 15.0
KEPT = 512  # answers; a city's pages need about two hundred


@dataclass(frozen=True)
class Sample:
    """One series now."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Line:
    """One series over time: (Unix time, value), oldest first."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


@dataclass
class Prometheus:
    """One Prometheus. Whatever goes wrong with it is CannotMeasure, one sentence."""

    url: str
    session: aiohttp.ClientSession
    interval: float = DEFAULT_INTERVAL
    _gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    _kept: dict[tuple[str, ...], tuple[float, asyncio.Future[Any]]] = field(default_factory=dict)
    _interval_known: bool = False

    async def instant(self, expression: str) -> list[Sample]:
        """The samples of an instant vector."""
        data = await self._ask("query", {"query": expression})
        return [Sample(item["metric"], float(item["value"][1])) for item in result_of(self.url, data, "vector")]

    async def over(self, expression: str, start: float, end: float, step: float) -> list[Line]:
        """The series of a range, in steps that fall on whole multiples, so that a page moves on evenly.

        Its end, which `@ end()` means, is the last multiple of the interval.
        """
        begin, finish = math.floor(start / step) * step, math.floor(end / self.interval) * self.interval
        asked = {"query": expression, "start": f"{begin:.3f}", "end": f"{finish:.3f}", "step": f"{step:g}"}
        data = await self._ask("query_range", asked)
        return [
            Line(item["metric"], tuple((float(at), float(value)) for at, value in item["values"]))
            for item in result_of(self.url, data, "matrix")
        ]

    async def alerts(self) -> list[dict[str, Any]]:
        """All alerts that it holds, pending ones too, as its API tells them."""
        return alerts_of(self.url, await self._ask("alerts", {}))

    async def learn_interval(self) -> float:
        """How often rules are evaluated, from its own configuration; asked until it is known."""
        if not self._interval_known:
            _, every = evaluated_each(await self._ask("status/config", {}))
            if every:
                self.interval, self._interval_known = every, True
        return self.interval

    async def _ask(self, what: str, asked: Mapping[str, str]) -> Any:
        """The answer's data. A question that was asked a third of an interval ago is not asked again."""
        key = (what, *asked.values())
        now = time.monotonic()
        kept = self._kept.get(key)
        if kept is None or now - kept[0] > self.interval / 3:
            if len(self._kept) >= KEPT:
                self._kept.pop(next(iter(self._kept)))
            kept = (now, asyncio.ensure_future(self._fetch(what, asked)))
            self._kept.pop(key, None)
            self._kept[key] = kept
        return await asyncio.shield(kept[1])

    async def _fetch(self, what: str, asked: Mapping[str, str]) -> Any:
        try:
            async with self._gate, asyncio.timeout(SECONDS):
                # A read for which GET would do; a long query does not fit an address.
                ask = self.session.post if "query" in what else self.session.get
                async with ask(f"{self.url}/api/v1/{what}", data=dict(asked) if "query" in what else None) as answer:
                    body = await answer.read()
        except (OSError, aiohttp.ClientError, TimeoutError) as error:
            raise silent(self.url, str(error) or type(error).__name__) from None
        return data_of(self.url, body, asked.get("query", what))
