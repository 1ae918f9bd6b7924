"""The reachability collectors: forbidden and allowed flows are really tried.

A forbidden flow that fails proves nothing if nobody listens. So while it is tried, an allowed place connects to the
same address and port, again and again; `gap_seconds` is how far apart the two were.
"""

from __future__ import annotations

import fcntl
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from egovctl.checks import flows
from egovctl.checks.collect.base import Facts, Observed, Request
from egovctl.checks.collect.places import (
    PROTOCOL,
    Place,
    Runner,
    listening,
    run_at_control,
    run_at_host,
    source_of,
    user_place,
)
from egovctl.checks.context import Context
from egovctl.checks.flows import Flow
from egovctl.checks.model import NotApplicable
from egovctl.errors import CannotMeasure, EgovError
from egovctl.plan import Lan

TRY = {"times": 1, "pause": 0.0, "seconds": 2.0}
PROVE = {"times": 8, "pause": 0.35, "seconds": 0.4}
NEVER = 1e6  # seconds: no listener was seen
Attempts = dict[str, list[dict[str, Any]]]


def from_lan(context: Context, requests: list[Request]) -> list[Observed]:
    """Flows from a user's place on each LAN. Two runs at once take turns: the listeners' ports are the same."""
    with (context.inventory.state / "reach.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return [
            {site: _guarded(_lan_facts, context, site) for site in request.subjects} for request in requests
        ]


def from_router(context: Context, requests: list[Request]) -> list[Observed]:
    """Flows from each router itself, over ssh; also where there is no user's place."""
    return [
        {name: _guarded(_router_facts, context, name) for name in request.subjects} for request in requests
    ]


def _guarded(facts: Any, context: Context, name: str) -> Facts:
    try:
        result: dict[str, Any] = facts(context, name)
        return result
    except (EgovError, NotApplicable) as error:
        return error


def _lan_facts(context: Context, site: str) -> dict[str, Any]:
    place = user_place(context, site)
    if place is None:
        raise NotApplicable(
            "这个局域网内没有探测点（生产环境未部署）；管理口的隔离由 management-closed 从路由器上试探",
            "no probe stands on this LAN in production; management-closed tries the ways in from its router",
        )
    lan: Lan = next(item for item in context.city.lans if item.site == site)
    wanted = flows.from_lan(context.city, lan)
    sites = dict.fromkeys(flow.target for flow in wanted if flow.at_place)
    places = {name: found for name in sites if (found := user_place(context, name)) is not None}
    return _facts(context, wanted, places, place.run)


def _router_facts(context: Context, name: str) -> dict[str, Any]:
    clients = frozenset(host for service in context.plan.services if service.backup for host in service.hosts)
    wanted = flows.from_router(context.city, context.city.hosts[name], clients)
    return _facts(context, wanted, {}, run_at_host(context, name))


def _facts(
    context: Context, wanted: Sequence[Flow], places: dict[str, Place], source: Runner
) -> dict[str, Any]:
    connects = [_connect(context, flow, places) for flow in wanted]
    program = source_of("probe")
    with ExitStack() as stack, ThreadPoolExecutor(2 + len(places)) as pool:
        for name, place in places.items():
            stack.enter_context(
                listening(place, sorted({flow.port for flow in wanted if flow.target == name}))
            )
        tried = pool.submit(source, program, {**TRY, "connects": connects})
        at_hosts = [item for item, flow in zip(connects, wanted, strict=True) if not flow.at_place]
        proofs = [pool.submit(run_at_control, context, program, {**PROVE, "connects": at_hosts})]
        for name, place in places.items():
            own = [
                item
                for item, flow in zip(connects, wanted, strict=True)
                if flow.at_place and flow.target == name
            ]
            proofs.append(pool.submit(place.run, program, {**PROVE, "connects": own}))
        alive: Attempts = {}
        for proof in proofs:
            alive |= _found(proof.result())
        results = _found(tried.result())
    return {"planned": {}, "seen": {"flows": [_outcome(flow, results, alive) for flow in wanted]}}


def _connect(context: Context, flow: Flow, places: dict[str, Place]) -> dict[str, Any]:
    if flow.at_place:
        place = places[flow.target]
        address = place.v4 if flow.family == 4 else place.v6
    else:
        host = context.city.hosts[flow.target]
        address = host.address_v4 if flow.family == 4 else host.address_v6
    return {"id": flow.name, "address": address, "port": flow.port}


def _found(answer: Any) -> Attempts:
    if not isinstance(answer, dict) or answer.get("protocol") != PROTOCOL:
        raise CannotMeasure("the probing program speaks another protocol")
    return dict(answer["found"])


def _outcome(flow: Flow, results: Attempts, alive: Attempts) -> dict[str, Any]:
    attempt = results[flow.name][0]
    moments = [item["at"] for item in alive.get(flow.name, []) if item["result"] == "open"]
    gap = min((abs(moment - attempt["at"]) for moment in moments), default=NEVER)
    return {
        "name": flow.name,
        "expect": flow.expect,
        "result": attempt["result"],
        "listening": bool(moments),
        "gap_seconds": round(float(gap), 3),
    }
