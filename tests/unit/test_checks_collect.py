"""Collectors and what their answers mean: decoding, expectations from the plan, probes, the way to a host."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from egovctl import transport
from egovctl.checks import content, expected, flows
from egovctl.checks.collect import decode, onhost, probe, prometheus, reach
from egovctl.checks.collect.base import Request
from egovctl.checks.collect.places import Place
from egovctl.checks.context import Context, open_context
from egovctl.checks.flows import Flow
from egovctl.checks.judge import judge
from egovctl.checks.model import Collect, NotApplicable, Status
from egovctl.errors import CannotMeasure
from egovctl.paths import Inventory

INVENTORIES = Path(__file__).resolve().parents[2] / "inventories"


@pytest.fixture(scope="module")
def context() -> Context:
    return open_context(Inventory(INVENTORIES / "lab"))


def said(**answers: Any) -> dict[str, Any]:
    """Answers as the on-host program sends them; what is not text goes as JSON."""
    return {
        name: {"code": 0, "out": value if isinstance(value, str) else json.dumps(value), "err": ""}
        for name, value in answers.items()
    }


def hub_answers(context: Context) -> dict[str, Any]:
    """What FRR 8.4.4 on hub-minqin says when all is well, in its own four forms."""
    hosts = context.city.hosts
    hub = hosts["hub-minqin"]
    transit = [(item, hosts[item.peer_host or ""]) for item in hub.interfaces if item.role == "transit"]
    return said(
        ospf4={
            "neighbors": {
                peer.address_v4: [{"nbrState": "Full/-", "ifaceName": f"{item.name}:{item.v4.ip}"}]
                for item, peer in transit
            }
        },
        ospf6={
            "neighbors": [
                {"neighborId": peer.address_v4, "state": "Full", "interfaceName": item.name} for item, peer in transit
            ]
        },
        bgp4={"routerId": hub.address_v4, "peers": {peer.v4: {"state": "Established"} for peer in hub.bgp}},
        bgp6={"ipv6Unicast": {"peers": {peer.v6: {"state": "Established"} for peer in hub.bgp}}},
    )


def neighbours(context: Context, answers: dict[str, Any]) -> dict[str, Any]:
    return decode.decode("neighbours", context.city, context.city.hosts["hub-minqin"], answers, [])


def test_the_planned_neighbours_are_what_a_good_router_says(context: Context) -> None:
    seen = neighbours(context, hub_answers(context))
    assert seen == {
        "neighbours": expected.neighbours(context.city.hosts["hub-minqin"]),
        "neighbours_not_up": [],
    }
    assert "ospf4 core1@up0" in seen["neighbours"] and "bgp6 core2" in seen["neighbours"]


def test_a_session_that_is_not_established_and_a_stranger_are_told_apart(context: Context) -> None:
    answers = hub_answers(context)
    core1 = context.city.hosts["core1"].address_v4
    answers["bgp4"] = said(x={"peers": {core1: {"state": "Active"}, "192.0.2.9": {"state": "Established"}}})["x"]
    seen = neighbours(context, answers)
    assert "bgp4 core1" not in seen["neighbours"] and seen["neighbours_not_up"] == ["bgp4 core1 (Active)"]
    assert "bgp4 192.0.2.9" in seen["neighbours"] and "bgp4 core2" not in seen["neighbours"]


def test_a_dead_daemon_means_no_neighbours_not_an_error(context: Context) -> None:
    answers = hub_answers(context)
    answers["ospf4"] = {"code": 1, "out": "", "err": "ospfd is not running"}
    answers["ospf6"] = {"code": 0, "out": "", "err": ""}
    assert not [item for item in neighbours(context, answers)["neighbours"] if item.startswith("ospf")]


@pytest.mark.parametrize("lie", [[], {"neighbors": 5}, {"neighbors": {"1.1.1.1": [{}]}}, {"neighbors": {"a": None}}])
def test_a_host_that_lies_in_its_types_cannot_be_measured(context: Context, lie: Any) -> None:
    answers = hub_answers(context) | said(ospf4=lie)
    if lie == []:
        answers = hub_answers(context) | said(ospf4=[1])
    with pytest.raises(CannotMeasure, match="hub-minqin"):
        neighbours(context, answers)


def test_routes_count_only_when_they_carry(context: Context) -> None:
    answers = said(
        routes4=[
            {"dst": "default", "dev": "up0", "flags": []},
            {"dst": "10.240.0.9", "dev": "up0", "flags": []},
            {"dst": "10.64.2.0/24", "dev": "lan0", "flags": ["linkdown"]},
            {"type": "blackhole", "dst": "10.65.0.0/16", "flags": []},
        ],
        routes6=[{"dst": "2001:db8:1::/64", "dev": "up0", "flags": []}, {"dst": "2001:db8::9", "flags": []}],
    )
    seen = decode.decode("routes", context.city, context.city.hosts["core1"], answers, [])
    assert seen["prefixes"] == ["0.0.0.0/0", "10.240.0.9/32", "2001:db8:1::/64", "2001:db8::9/128"]


def kernel_routes(context: Context, router: str, **lost: str) -> dict[str, Any]:
    """What `ip -j route` says of the cores' addresses on a router as planned, in both forms that iproute2 has.

    `lost` takes a core to an interface: that core is reached over it instead.
    """
    answers: dict[str, list[dict[str, Any]]] = {"routes4": [], "routes6": []}
    for core, edges in context.next_hops[router].items():
        names = [lost[core]] if core in lost else [edge.interface for edge in edges]
        for key, address in (("routes4", "address_v4"), ("routes6", "address_v6")):
            route: dict[str, Any] = {"dst": getattr(context.city.hosts[core], address), "protocol": "ospf", "flags": []}
            hops = [{"gateway": "192.0.2.1", "dev": name, "weight": 1, "flags": []} for name in names]
            answers[key].append({**route, "metric": 20, **(hops[0] if len(hops) == 1 else {"nexthops": hops})})
    return said(**answers)


def next_hops(context: Context, router: str, answers: dict[str, Any]) -> tuple[list[str], list[str]]:
    host = context.city.hosts[router]
    seen = decode.decode("routes", context.city, host, answers, [])["next_hops"]
    return expected.planned_host(context, host, ("routes",))["next_hops"], seen


def test_the_planned_next_hops_are_what_the_kernel_of_a_good_router_says(context: Context) -> None:
    for host in context.city.hosts.values():
        if host.router:
            planned, seen = next_hops(context, host.name, kernel_routes(context, host.name))
            assert planned == seen and len(planned) == (2 if host.role == "core" else 4)
    planned, _ = next_hops(context, "hub-minqin", kernel_routes(context, "hub-minqin"))
    assert planned == [
        "core1 IPv4 via core1@up0", "core1 IPv6 via core1@up0", "core2 IPv4 via core2@up1", "core2 IPv6 via core2@up1",
    ]  # fmt: skip


def test_a_path_over_the_backup_is_seen(context: Context) -> None:
    planned, seen = next_hops(context, "hub-minqin", kernel_routes(context, "hub-minqin", core1="up1"))
    assert set(planned) - set(seen) == {"core1 IPv4 via core1@up0", "core1 IPv6 via core1@up0"}
    assert set(seen) - set(planned) == {"core1 IPv4 via core2@up1", "core1 IPv6 via core2@up1"}


def test_equal_next_hops_of_the_kernel_are_all_told_and_dead_or_worse_ones_are_not(context: Context) -> None:
    core, up = context.city.hosts["core1"], {"gateway": "fe80::1", "flags": []}
    answers = said(
        routes4=[
            {
                "dst": core.address_v4,
                "metric": 20,
                "flags": [],
                "nexthops": [{**up, "dev": "up0"}, {**up, "dev": "up1"}],
            },
            {"dst": core.address_v4, "metric": 200, "dev": "lan0", "flags": []},
            {"dst": "default", "dev": "eth9", "flags": []},
            {"type": "unreachable", "dst": context.city.hosts["core2"].address_v4, "dev": "lo", "flags": []},
        ],
        routes6=[
            {"dst": core.address_v6, "metric": 20, "dev": "up0", "flags": ["linkdown"]},
            {"dst": core.address_v6, "metric": 20, "dev": "eth9", "gateway": "fe80::1", "flags": []},
        ],
    )
    _, seen = next_hops(context, "hub-minqin", answers)
    assert seen == ["core1 IPv4 via core1@up0", "core1 IPv4 via core2@up1", "core1 IPv6 via fe80::1@eth9"]


def test_no_routes_at_all_is_a_fail_not_a_pass(context: Context) -> None:
    planned, seen = next_hops(
        context, "hub-minqin", {n: {"code": 1, "out": "", "err": ""} for n in ("routes4", "routes6")}
    )
    facts = {"subject": {}, "planned": {"next_hops": planned}, "seen": {"next_hops": seen}}
    assert judge(content.checks().get("paths-as-planned"), facts)[0] is Status.FAIL


def tracking(context: Context, **changes: Any) -> dict[str, Any]:
    core = context.city.hosts["core1"].address_v4
    fields = [
        "0AF00009",
        core,
        "9",
        "1700000000.1",
        "-0.002",
        "0",
        "0",
        "1",
        "0",
        "0",
        "0",
        "0",
        "4",
        "Normal",
    ]
    for position, value in changes.items():
        fields[int(position[1:])] = value
    return decode.decode("time", context.city, context.city.hosts["noc"], said(tracking=",".join(fields)), [])["time"]


def test_time_is_told_with_its_reference_and_without_its_sign(context: Context) -> None:
    seen = tracking(context)
    assert (seen["synchronised"], seen["offset_seconds"], seen["reference"]) == (True, 0.002, "core1")
    assert not tracking(context, f13="Not synchronised")["synchronised"]
    assert not tracking(context, f0="00000000", f1="")["synchronised"]
    silent = {"tracking": {"code": 1, "out": "506 Cannot talk to daemon", "err": ""}}
    seen = decode.decode("time", context.city, context.city.hosts["noc"], silent, [])["time"]
    assert not seen["synchronised"] and "506" in seen["said"]


def test_units_are_matched_by_position(context: Context) -> None:
    host = context.city.hosts["noc"]
    answer = {"units": {"code": 3, "out": "active\ninactive\nactivating\n", "err": ""}}
    seen = decode.decode("units", context.city, host, answer, ["a.service", "b.service", "c.timer"])
    assert seen["units_active"] == ["a.service"]
    assert seen["units_other"] == ["b.service (inactive)", "c.timer (activating)"]
    with pytest.raises(CannotMeasure):
        decode.decode("units", context.city, host, answer, ["a.service"])


def test_flows_of_every_department_are_few_and_of_both_kinds() -> None:
    city = open_context(Inventory(INVENTORIES / "wuwei")).city
    for lan in city.lans:
        if lan.zone == "users":
            wanted = flows.from_lan(city, lan)
            assert 8 <= len(wanted) <= 16 and len({flow.name for flow in wanted}) == len(wanted)
            assert {flow.expect for flow in wanted} == {"allow", "deny"}
            assert lan.site not in {flow.target for flow in wanted if flow.at_place}


def test_a_backup_client_may_open_ssh_to_the_backup_node_and_nobody_else(context: Context) -> None:
    router = context.city.hosts["minqin-education"]
    no_client = replace(router, groups=tuple(group for group in router.groups if group != "backup_clients"))
    client = {flow.target for flow in flows.from_router(context.city, router)}
    other = {flow.target for flow in flows.from_router(context.city, no_client)}
    assert client == {"core1", "noc", "offsite"} and other == {"core1", "noc", "backup", "offsite"}


def test_without_a_probe_on_the_lan_it_does_not_apply(context: Context, monkeypatch) -> None:
    monkeypatch.setattr(reach, "user_place", lambda context, site: None)
    request = Request("x", ("minqin-education",), Collect(by="reach-from-lan"))
    (observed,) = reach.from_lan(context, [request])
    assert isinstance(observed["minqin-education"], NotApplicable)


def test_a_listener_that_cannot_be_started_or_proven_takes_no_other_flow_with_it(context: Context, monkeypatch) -> None:
    """If this fails, one missing listener hides every hole that was found at the same time."""

    def no_prover(context: Context, program: str, params: Any) -> Any:
        raise CannotMeasure("no namespace")

    def no_listener(place: Place, ports: list[int]) -> Any:
        raise CannotMeasure("port in use")

    def all_open(self: Place, program: str, params: Any) -> Any:
        return {"protocol": 1, "found": {item["id"]: [{"at": 1.0, "result": "open"}] for item in params["connects"]}}

    monkeypatch.setattr(reach, "user_place", lambda context, site: Place(site, "192.0.2.9", "2001:db8::9", ()))
    monkeypatch.setattr(reach, "run_at_control", no_prover)
    monkeypatch.setattr(reach, "listening", no_listener)
    monkeypatch.setattr(Place, "run", all_open)
    request = Request("x", ("minqin-education",), Collect(by="reach-from-lan"))
    (observed,) = reach.from_lan(context, [request])
    seen = observed["minqin-education"]["seen"]
    assert {flow["result"] for flow in seen["flows"]} == {"open"} and "no namespace" in seen["faults"]
    assert "port in use" in seen["faults"]
    assert not any(flow["listening"] for flow in seen["flows"] if flow["name"].startswith("core1"))


def test_the_listener_must_be_seen_alive_in_the_same_second() -> None:
    flow = Flow("noc", False, 4, 22, "deny")
    tried = {flow.name: [{"at": 100.0, "result": "timeout"}]}
    alive = {flow.name: [{"at": 98.0, "result": "open"}, {"at": 100.3, "result": "open"}]}
    assert reach._outcome(flow, tried, alive)["gap_seconds"] == 0.3
    dead = {flow.name: [{"at": 100.0, "result": "refused"}]}
    assert reach._outcome(flow, tried, dead)["listening"] is False


@pytest.mark.parametrize(("late", "proven"), [(0, True), (1, True), (2, False)])
def test_a_proof_that_came_too_late_is_made_once_more_and_what_was_open_stays_found(
    context: Context, monkeypatch: pytest.MonkeyPatch, late: int, proven: bool
) -> None:
    """The first `late` proofs are three seconds off. If this fails, a busy machine calls a closed city unknown."""
    tries: list[list[str]] = []
    proofs: list[Any] = []

    def router(program: str, params: Any) -> Any:
        tries.append([item["id"] for item in params["connects"]])
        leak = tries[0][0] if len(tries) == 1 else ""
        results = {name: "open" if name == leak else "timeout" for name in tries[-1]}
        return {"protocol": 1, "found": {name: [{"at": 100.0, "result": result}] for name, result in results.items()}}

    def prover(context: Context, program: str, params: Any) -> Any:
        proofs.append(params)
        at = 103.0 if len(proofs) <= late else 100.3
        return {"protocol": 1, "found": {item["id"]: [{"at": at, "result": "open"}] for item in params["connects"]}}

    monkeypatch.setattr(reach, "run_at_host", lambda context, host: router)
    monkeypatch.setattr(reach, "run_at_control", prover)
    request = Request("x", ("minqin-education",), Collect(by="reach-from-router"))
    (observed,) = reach.from_router(context, [request])
    leak, *others = observed["minqin-education"]["seen"]["flows"]
    assert leak["result"] == "open" and {flow["result"] for flow in others} == {"timeout"}
    assert all(flow["gap_seconds"] <= 1 for flow in others) is proven
    assert [flow["name"] for flow in (leak, *others)] == tries[0]
    assert tries[1:] == ([tries[0][1:]] if late else []), "only what was not proven is tried again, and once"


def test_the_probe_tells_open_refused_and_timeout_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        ports = {"open": listening.getsockname()[1], "refused": closed.getsockname()[1]}
        connects = [{"id": name, "address": "127.0.0.1", "port": port} for name, port in ports.items()]
        found = probe.main({"connects": connects, "times": 2, "pause": 0.01, "seconds": 1.0})["found"]
    assert {name: [item["result"] for item in items] for name, items in found.items()} == {
        "open": ["open", "open"],
        "refused": ["refused", "refused"],
    }


def test_on_host_programs_need_only_the_standard_library_and_compile_for_python_3_9() -> None:
    folder = Path(onhost.__file__).parent
    for name in ("onhost", "probe", "listener", "sweep"):
        text = (folder / f"{name}.py").read_text()
        compile(text, name, "exec", dont_inherit=True)
        imported = {
            line.split()[1].split(".")[0] for line in text.splitlines() if line.startswith(("import ", "from "))
        }
        assert imported <= sys.stdlib_module_names, imported
        assert "match " not in text


def test_the_on_host_program_answers_for_what_is_not_installed() -> None:
    program = Path(onhost.__file__).read_text() + "\nCOMMANDS['time'] = {'tracking': ['no-such-program']}\n"
    text = transport.with_params(program, {"sections": ["time"], "units": [], "seconds": 5})
    done = subprocess.run([sys.executable, "-I", "-"], input=text, capture_output=True, check=True)
    assert json.loads(done.stdout)["answers"]["tracking"]["code"] == 127


class FakePrometheus(BaseHTTPRequestHandler):
    answer: bytes = b"{}"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def prometheus_server(context: Context, monkeypatch: pytest.MonkeyPatch):
    server = HTTPServer(("127.0.0.1", 0), FakePrometheus)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(prometheus, "prometheus_url", lambda inventory, city: url)
    yield FakePrometheus
    server.shutdown()
    server.server_close()
    thread.join()


def ask(context: Context) -> Any:
    wanted = Collect.model_validate({"by": "prometheus", "queries": {"up": {"expr": "up", "key": ["job", "host"]}}})
    return prometheus.collect(context, [Request("targets-up", ("lab",), wanted)])[0]["lab"]


def test_a_city_that_is_called_as_one_of_its_services_is_a_city(context: Context, prometheus_server) -> None:
    prometheus_server.answer = b'{"status": "success", "data": {"resultType": "vector", "result": []}}'
    wanted = Collect.model_validate({"by": "prometheus", "queries": {"up": {"expr": "up", "key": ["host"]}}})
    ((city,), (service,)) = (
        one.values()
        for one in prometheus.collect(
            context, [Request("a", ("documents",), wanted), Request("b", ("documents",), wanted, "service")]
        )
    )
    assert city["planned"] == expected.planned_city(context.city)
    assert service["planned"] != city["planned"]


def test_prometheus_samples_are_named_by_their_labels(context: Context, prometheus_server) -> None:
    series = [
        {"metric": {"job": "node", "host": "noc"}, "value": [1, "1"]},
        {"metric": {}, "value": [1, "NaN"]},
    ]
    data = {"status": "success", "data": {"resultType": "vector", "result": series}}
    prometheus_server.answer = json.dumps(data).encode()
    assert ask(context)["seen"] == {"up": {"by": {"node noc": 1.0}, "keys": ["node noc"]}}


@pytest.mark.parametrize("answer", [b"", b"[]", b'{"data": {"resultType": "scalar", "result": [1, "1"]}}'])
def test_prometheus_that_answers_nonsense_cannot_be_measured(
    context: Context, prometheus_server, answer: bytes
) -> None:
    prometheus_server.answer = answer
    assert isinstance(ask(context), CannotMeasure)


def test_prometheus_that_is_down_cannot_be_measured(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus, "prometheus_url", lambda inventory, city: "http://127.0.0.1:9")
    assert "does not answer" in str(ask(context))
