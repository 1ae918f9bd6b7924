"""The reachability collectors: forbidden and allowed flows are really tried.

A forbidden flow that fails proves nothing if nobody listens. So while it is tried, an allowed place connects to the
same address and port, again and again; `gap_seconds` is how far apart the two were. What comes out unproven is tried
once more. A listener that cannot be started or proven leaves its own flows unproven and no others; `faults` says why.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
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
from egovctl.i18n import told

TRY = {"times": 1, "pause": 0.0, "seconds": 2.0}
PROVE = {"times": 8, "pause": 0.35, "seconds": 0.4}
NEVER = 1e6  # seconds: no listener was seen
TOGETHER = 1.0  # seconds between an attempt and its proof, at most; the checks say the same
AT_ONCE = 8  # sources
NOT_OURS = NotApplicable(
    "规划的 manage 未把该局域网路由器的防火墙（nftables）交由本套件管理",
    "the plan's manage leaves the firewall (nftables) of this LAN's router to others",
)
Attempts = dict[str, list[dict[str, Any]]]
Places = dict[str, Place]
Connect = dict[str, Any]


def from_lan(context: Context, requests: list[Request]) -> list[Observed]:
    """Flows from a user's place on each LAN. Two runs at once take turns: the listeners' ports are the same."""
    with (context.inventory.state / "reach.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return [_all_lans(context, list(request.subjects)) for request in requests]


def from_router(context: Context, requests: list[Request]) -> list[Observed]:
    """Flows from each router itself, over ssh; also where there is no user's place."""
    hosts = context.city.hosts
    found = []
    for request in requests:
        wanted = {name: flows.from_router(context.city, hosts[name]) for name in request.subjects}
        found.append(_try_all(context, wanted, {}, lambda name: run_at_host(context, name), []))
    return found


def _all_lans(context: Context, sites: list[str]) -> Observed:
    """Open every listener that any of the LANs needs, then let all LANs try at the same time."""
    chosen = [lan for lan in context.city.lans if lan.site in sites]
    left = {lan.site: NOT_OURS for lan in chosen if not flows.firewalled(context.city, lan)}
    sites = [site for site in sites if site not in left]
    return {**left, **_lans(context, sites)} if sites else dict(left)


def _lans(context: Context, sites: list[str]) -> Observed:
    wanted = {lan.site: flows.from_lan(context.city, lan) for lan in context.city.lans if lan.site in sites}
    everywhere = [flow for some in wanted.values() for flow in some]
    try:
        places = _places(context, [*sites, *(flow.target for flow in everywhere if flow.at_place)])
        with ExitStack() as stack:
            faults = _listen(stack, places, everywhere)
            return _try_all(context, wanted, places, lambda site: places[site].run, faults)
    except (EgovError, NotApplicable) as error:
        return dict.fromkeys(sites, error)


def _listen(stack: ExitStack, places: Places, wanted: list[Flow]) -> list[str]:
    """Open the listeners at the places; says which could not be."""
    faults = []
    for name, place in places.items():
        ports = sorted({flow.port for flow in wanted if flow.at_place and flow.target == name})
        try:
            if ports:
                stack.enter_context(listening(place, ports))
        except CannotMeasure as error:
            faults.append(str(error))
    return faults


def _places(context: Context, sites: Iterable[str]) -> Places:
    """The users' places on these LANs; NotApplicable where there are none."""
    found = {}
    for site in dict.fromkeys(sites):
        place = user_place(context, site)
        if place is None:
            raise NotApplicable(
                "这个局域网内没有探测点（生产环境未部署）；管理口的隔离由 management-closed 从路由器上试探",
                "no probe stands on this LAN in production; management-closed tries the ways in from its router",
            )
        found[site] = place
    return found


def _try_all(
    context: Context,
    wanted: dict[str, list[Flow]],
    places: Places,
    runner_of: Callable[[str], Runner],
    faults: list[str],
) -> Observed:
    """What came of all flows; a busy machine's proof that came too late is made once more, and only that."""
    attempt = partial(_try, context, places=places, runner_of=runner_of, faults=faults)
    found = _in_turns(attempt, wanted)
    unproven = {name: _unproven(some, found[name]) for name, some in wanted.items()}
    again = _in_turns(attempt, {name: some for name, some in unproven.items() if some})
    return found | {name: _merged(found[name], facts) for name, facts in again.items()}


def _in_turns(attempt: Callable[[dict[str, list[Flow]]], Observed], wanted: dict[str, list[Flow]]) -> Observed:
    """Some sources at a time, so that a listener is not asked more than it would be by people."""
    names = list(wanted)
    found: Observed = {}
    for start in range(0, len(names), AT_ONCE):
        found |= attempt({name: wanted[name] for name in names[start : start + AT_ONCE]})
    return found


def _unproven(wanted: list[Flow], facts: Facts) -> list[Flow]:
    """The flows that were not open, and whose listener was not seen alive at the same time."""
    if isinstance(facts, Exception):
        return []
    seen = zip(wanted, facts["seen"]["flows"], strict=True)
    return [flow for flow, one in seen if one["result"] != "open" and one["gap_seconds"] > TOGETHER]


def _merged(first: Facts, second: Facts) -> Facts:
    """The first try with what the second found of the flows that it tried again."""
    if isinstance(first, Exception) or isinstance(second, Exception):
        return first
    again = {flow["name"]: flow for flow in second["seen"]["flows"]}
    merged = [again.get(flow["name"], flow) for flow in first["seen"]["flows"]]
    return {**second, "seen": {**second["seen"], "flows": merged}}


def _try(
    context: Context,
    wanted: dict[str, list[Flow]],
    places: Places,
    runner_of: Callable[[str], Runner],
    faults: list[str],
) -> Observed:
    """All sources try their flows at the same time while allowed places prove that the listeners are alive."""
    flows_of_all = dict.fromkeys(flow for some in wanted.values() for flow in some)
    connects = {flow: _connect(context, flow, places) for flow in flows_of_all}
    program = source_of("probe")
    provers = _provers(context, connects, places)
    with ThreadPoolExecutor(len(wanted) + len(provers)) as pool:
        tried = {
            name: pool.submit(runner_of(name), program, {**TRY, "connects": [connects[flow] for flow in some]})
            for name, some in wanted.items()
        }
        proofs = [pool.submit(prove, program, {**PROVE, "connects": items}) for prove, items in provers]
        alive, unproven = _alive(proofs)
    return {name: _facts(wanted[name], result, alive, [*faults, *unproven]) for name, result in tried.items()}


def _alive(proofs: list[Future[Any]]) -> tuple[Attempts, list[str]]:
    """(what the provers saw, why some of them saw nothing)."""
    alive: Attempts = {}
    faults = []
    for proof in proofs:
        try:
            alive |= _found(proof.result())
        except EgovError as error:
            faults.append(str(error))
    return alive, faults


def _provers(context: Context, connects: dict[Flow, Connect], places: Places) -> list[tuple[Runner, list[Connect]]]:
    """Who proves which listeners: control those of hosts, each place its own."""
    found: list[tuple[Runner, list[Connect]]] = [
        (partial(run_at_control, context), [item for flow, item in connects.items() if not flow.at_place])
    ]
    for name, place in places.items():
        own = [item for flow, item in connects.items() if flow.at_place and flow.target == name]
        found += [(place.run, own)] if own else []
    return found


def _facts(wanted: list[Flow], tried: Future[Any], alive: Attempts, faults: list[str]) -> Facts:
    try:
        results = _found(tried.result())
    except EgovError as error:
        return error
    return {"planned": {}, "seen": {"flows": [_outcome(flow, results, alive) for flow in wanted], "faults": faults}}


def _connect(context: Context, flow: Flow, places: Places) -> Connect:
    if flow.at_place:
        place = places[flow.target]
        address = place.v4 if flow.family == 4 else place.v6
    else:
        host = context.city.hosts[flow.target]
        address = host.address_v4 if flow.family == 4 else host.address_v6
    return {"id": flow.name, "address": address, "port": flow.port}


def _found(answer: Any) -> Attempts:
    if not isinstance(answer, dict) or answer.get("protocol") != PROTOCOL:
        raise CannotMeasure(told("试探程序的协议版本不同", "the probing program speaks another protocol"))
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
