"""What a host tells each minute of sessions, tunnels, clock and certificates, against played daemons.

If these fail, a session that is down is shown as up (or the other way round), or an unplanned neighbour is not seen.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egovctl.checks import expected
from egovctl.paths import Inventory, project_root
from egovctl.plan import City, load
from egovctl.render import render_city
from egovctl.render.watch import link_names, watched

PROGRAM = project_root() / "playbooks/roles/watch/files/egov-watch"
SAMPLE = re.compile(r"^(egov_\w+)(?:\{(.*)\})? (\S+)$")
UNKNOWN = b"% Unknown command\n\0\0\0\x02"  # also of bfdd, to who has not said enable
TRACKING = "0AF00009,10.240.0.9,9,1795732812.123,-0.000021,0.0,0.0,1.1,0.0,0.1,0.0002,0.0001,64.2,{leap}\n"
OSPF4 = {"neighbors": {"10.240.0.9": [{"nbrState": "Full/-", "ifaceName": "up0:10.241.0.97"}],
                       "10.240.0.10": [{"nbrState": "Init/-", "ifaceName": "up1:10.241.0.99"}]}}  # fmt: skip
OSPF6 = {"neighbors": [{"neighborId": "10.240.0.9", "interfaceName": "up0", "state": "Full"},
                       {"neighborId": "10.240.9.9", "interfaceName": "up1", "state": "Full"}]}  # fmt: skip
BGP4 = {"peers": {"10.240.0.9": {"state": "Established"}, "10.240.0.10": {"state": "Active"}}}
BFD = [{"multihop": False, "peer": "10.241.0.96", "interface": "up0", "status": "up"},
       {"multihop": False, "peer": "fe80::1", "interface": "up0", "status": "down"}]  # fmt: skip


def session(protocol: str, family: str, peer: str, at: str, link: str = "") -> dict[str, str]:
    return {"protocol": protocol, "family": family, "peer": peer, "link": link, "at": at}


HUB = {
    "sessions": [
        session("ospf", "ipv4", "core1", "up0 10.240.0.9", "hub:up0"),
        session("ospf", "ipv4", "core2", "up1 10.240.0.10", "hub:up1"),
        session("ospf", "ipv6", "core1", "up0 10.240.0.9", "hub:up0"),
        session("ospf", "ipv6", "core2", "up1 10.240.0.10", "hub:up1"),
        session("bfd", "ipv4", "core1", "up0", "hub:up0"),
        session("bfd", "ipv6", "core1", "up0", "hub:up0"),
        session("bfd", "ipv4", "core2", "up1", "hub:up1"),
        session("bgp", "ipv4", "core1", "10.240.0.9"),
        session("bgp", "ipv4", "core2", "10.240.0.10"),
        session("bgp", "ipv6", "core1", "2001:db8::9"),
    ],
    "tunnels": [
        {"interface": "wg0", "peer": "van", "link": "van:up0"},
        {"interface": "wg1", "peer": "x", "link": "x:up0"},
    ],
    "certificates": {},
    "clock": True,
    "outside_clocks": [],
}


class Host:
    """A host whose daemons and programs are played; what is not given does not answer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("frr", "bin", "metrics"):
            (folder / name).mkdir()

    def plays(self, daemon: str, answers: dict[str, bytes]) -> None:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.folder / "frr" / f"{daemon}.vty"))
        listener.listen()

        def serve() -> None:
            while True:
                stream, _ = listener.accept()
                with stream, contextlib.suppress(OSError):
                    enabled = False
                    while asked := stream.recv(1000).rstrip(b"\0").decode():
                        said = b"\0\0\0\0" if asked == "enable" else answers.get(asked, UNKNOWN) if enabled else UNKNOWN
                        enabled |= asked == "enable"
                        for piece in filter(None, (said[:7], said[7:])):
                            stream.sendall(piece)

        threading.Thread(target=serve, daemon=True).start()

    def has(self, program: str, prints: str) -> None:
        path = self.folder / "bin" / program
        path.write_text(f"#!/bin/sh\ncat <<'END'\n{prints}END\n", encoding="utf-8")
        path.chmod(0o755)

    def tells(self, planned: dict[str, Any]) -> dict[str, float]:
        (self.folder / "watch.json").write_text(json.dumps(planned), encoding="utf-8")
        more = {"EGOV_FRR_DIR": f"{self.folder}/frr", "EGOV_TEXTFILE_DIR": f"{self.folder}/metrics"}
        more["PATH"] = f"{self.folder}/bin:{os.environ['PATH']}"
        command = [sys.executable, str(PROGRAM), str(self.folder / "watch.json")]
        done = subprocess.run(command, env={**os.environ, **more}, capture_output=True, text=True, check=False)
        assert done.returncode == 0 and not done.stderr, done.stderr
        file = self.folder / "metrics" / "egov_watch.prom"
        assert file.stat().st_mode & 0o777 == 0o644
        found = {}
        for line in file.read_text(encoding="utf-8").splitlines():
            if not line.startswith("#"):
                match = SAMPLE.match(line)
                assert match, line
                found[f"{match[1]} {match[2] or ''}".strip()] = float(match[3])
        return found


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def answer(data: object) -> bytes:
    return json.dumps(data).encode() + b"\n\0\0\0\0"


def up(told: dict[str, float], protocol: str, family: str, peer: str) -> float:
    (value,) = [
        value
        for name, value in told.items()
        if name.startswith(f'egov_neighbour_up protocol="{protocol}",family="{family}",peer="{peer}"')
    ]
    return value


def test_sessions_are_those_of_the_plan_whatever_the_daemons_say(host: Host) -> None:
    host.plays("ospfd", {"show ip ospf neighbor json": answer(OSPF4)})
    host.plays("ospf6d", {"show ipv6 ospf6 neighbor json": answer(OSPF6)})
    host.plays("bgpd", {"show bgp ipv4 unicast summary json": answer({"ipv4Unicast": BGP4})})
    host.plays("bfdd", {"show bfd peers json": answer(BFD)})
    told = host.tells(HUB)
    assert sum(name.startswith("egov_neighbour_up") for name in told) == len(HUB["sessions"])  # type: ignore[arg-type]
    assert [up(told, "ospf", "ipv4", peer) for peer in ("core1", "core2")] == [1, 0]  # Init is not full
    assert [up(told, "ospf", "ipv6", peer) for peer in ("core1", "core2")] == [1, 0]
    assert [up(told, "bgp", "ipv4", peer) for peer in ("core1", "core2")] == [1, 0]
    assert up(told, "bgp", "ipv6", "core1") == 0  # bgpd refused the question
    assert [up(told, "bfd", *rest) for rest in (("ipv4", "core1"), ("ipv6", "core1"), ("ipv4", "core2"))] == [1, 0, 0]
    assert 'egov_neighbour_up protocol="ospf",family="ipv4",peer="core1",link="hub:up0"' in told
    # The router 10.240.9.9 is on an interface where another is planned.
    assert told['egov_neighbours_unplanned protocol="ospf",family="ipv6"'] == 1
    assert told['egov_neighbours_unplanned protocol="ospf",family="ipv4"'] == 0


def test_a_host_whose_daemons_and_programs_are_all_dead_has_nothing_up(host: Host) -> None:
    for program in ("wg", "chronyc"):
        (host.folder / "bin" / program).symlink_to("/bin/false")
    told = host.tells({**HUB, "certificates": {"mail": str(host.folder / "none.crt")}})
    assert told.pop("egov_watch_timestamp_seconds") > 1e9
    assert told and set(told.values()) == {0}
    assert told['egov_certificate_expiry_timestamp_seconds certificate="mail"'] == 0


@pytest.mark.parametrize("text", [b"", b"{", b'{"neighbors": 3}', b"[[]]", b"\xff", b"% BGP instance not found"])
def test_an_answer_of_another_shape_is_none(host: Host, text: bytes) -> None:
    for daemon, question in (("ospfd", "show ip ospf neighbor json"), ("bfdd", "show bfd peers json")):
        host.plays(daemon, {question: text + b"\0\0\0\0"})
    told = host.tells(HUB)
    assert {value for name, value in told.items() if name.startswith("egov_neighbour_up")} == {0}


def test_tunnels_certificates_and_the_clock(host: Host) -> None:
    certificate = host.folder / "mail.crt"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]
    made += ["-subj", "/CN=x", "-keyout", str(host.folder / "key"), "-out", str(certificate)]
    subprocess.run(made, check=True, capture_output=True)
    host.has("wg", "wg0\tkey=\t1795732700\nwg7\tother=\t1795732000\n")
    host.has("chronyc", TRACKING.format(leap="Normal"))
    told = host.tells({**HUB, "sessions": [], "certificates": {"mail": str(certificate)}})
    assert told['egov_tunnel_handshake_timestamp_seconds peer="van",link="van:up0"'] == 1795732700
    assert told['egov_tunnel_handshake_timestamp_seconds peer="x",link="x:up0"'] == 0
    left = told['egov_certificate_expiry_timestamp_seconds certificate="mail"'] - told["egov_watch_timestamp_seconds"]
    assert 29.9 < left / 86400 <= 30
    clock = {name.removeprefix("egov_clock_"): value for name, value in told.items() if "clock" in name}
    assert clock == {
        "synchronised": 1, "reference_timestamp_seconds": 1795732812.123, "offset_seconds": -0.000021, "stratum": 9,
    }  # fmt: skip
    assert not any(name.startswith("egov_neighbour") for name in told)


def test_a_clock_that_follows_nothing_has_no_offset(host: Host) -> None:
    host.has("chronyc", TRACKING.format(leap="Not synchronised"))
    told = host.tells({**HUB, "sessions": [], "tunnels": []})
    assert told["egov_clock_synchronised"] == 0 and "egov_clock_offset_seconds" not in told


def test_of_the_time_servers_outside_those_that_answer_are_counted(host: Host) -> None:
    rows = ["^,*,a.example,2,6,377,8,0.1,0.1,0.1", "^,?,b.example,0,6,0,-,0,0,0", "^,-,core2,9,6,377,8,0.1,0.1,0.1"]
    host.has("chronyc", "".join(f"{row}\n" for row in rows))
    told = host.tells({**HUB, "sessions": [], "tunnels": [], "outside_clocks": ["a.example", "b.example"]})
    assert told["egov_clock_outside_reached"] == 1


def planned(name: str) -> tuple[City, dict[str, Any]]:
    _, city = load(Inventory(project_root() / "inventories" / name))
    links = link_names(city)
    return city, {host.name: watched(host, city, links, {}, ()) for host in city.hosts.values()}


@pytest.mark.parametrize("name", ["lab", "wuwei"])
def test_the_sessions_are_those_that_assessments_expect_and_links_those_of_the_rules(name: str) -> None:
    city, found = planned(name)
    names = {f"{link.child}:{link.child_interface}" for link in city.links}
    for host in city.hosts.values():
        sessions = found[host.name]["sessions"]
        here = {
            f"{item['protocol']}{item['family'][-1]} {item['peer']}"
            + (f"@{item['at'].split()[0]}" if item["protocol"] == "ospf" else "")
            for item in sessions
            if item["protocol"] != "bfd"
        }
        assert here == (set(expected.neighbours(host)) if host.manages("frr") and host.router else set())
        # BFD beside each OSPF session, and every link under the name that rules have.
        assert {(i["family"], i["link"]) for i in sessions if i["protocol"] == "bfd"} == {
            (i["family"], i["link"]) for i in sessions if i["protocol"] == "ospf"
        }
        assert {item["link"] for item in sessions if item["protocol"] != "bgp"} <= names
        assert len({(i["protocol"], i["family"], i["at"]) for i in sessions}) == len(sessions)


def test_what_the_plan_leaves_to_others_is_not_looked_at() -> None:
    _, city = load(Inventory(project_root() / "inventories/lab"))
    core = replace(city.hosts["core1"], manage=("watch", "node_exporter"))
    others = replace(city, hosts={**city.hosts, "core1": core})
    assert watched(core, others, link_names(others), {"core1": {"syslog_sha256": "x"}}, ("a",)) == {
        "sessions": [], "tunnels": [], "certificates": {}, "clock": False, "outside_clocks": [],
    }  # fmt: skip
    # Its neighbours expect OSPF of it still, and BFD of who is configured here only.
    hub = watched(others.hosts["hub-minqin"], others, link_names(others), {}, ())["sessions"]
    assert {item["protocol"] for item in hub if item["peer"] == "core1"} == {"ospf", "bgp"}


def test_the_unit_has_no_more_rights_than_the_host_needs() -> None:
    rendered = render_city(Inventory(project_root() / "inventories/lab")).hosts
    path = "/etc/systemd/system/egov-watch.service"
    units = {name: host.files[path].decode() for name, host in rendered.items() if path in host.files}
    assert set(units) >= {"core1", "noc", "town-caiqi", "village-xuebai"} and "switch-minqin" not in units
    for name, text in units.items():
        tunnels = json.loads(rendered[name].files["/etc/egov/watch.json"])["tunnels"]
        assert re.findall(r"^CapabilityBoundingSet=(.*)$", text, re.M) == ["CAP_NET_ADMIN" if tunnels else ""]


def test_what_a_program_that_left_told_last_goes_and_nothing_else(host: Host) -> None:
    told = host.folder / "metrics"

    def after(**lists: str) -> set[str]:
        for file in host.folder.glob("*.textfiles"):
            file.unlink()
        for bundle, lines in lists.items():
            (host.folder / f"{bundle}.textfiles").write_text(lines, encoding="utf-8")
        host.tells({**HUB, "clock": False})
        return {path.name for path in told.iterdir() if not path.name.startswith(".")}

    both = {"borgmatic": "# made\negov_backup_a.prom\negov_backup_b-c.prom\n", "mail": "egov_mail.prom\n"}
    for name in ("egov_backup_a.prom", "egov_backup_b-c.prom", "egov_mail.prom", "egov_own.prom", "other.prom"):
        (told / name).touch()
    everything = {path.name for path in told.iterdir()} | {"egov_watch.prom"}
    assert after() == everything, "what was never listed is not ours"
    assert after(**both) == everything
    assert after(borgmatic="egov_backup_a.prom\n") == everything - {"egov_backup_b-c.prom", "egov_mail.prom"}
    (told / "egov_mail.prom").touch()  # a program that was at work while it left
    assert after(borgmatic="egov_backup_a.prom\n") == everything - {"egov_backup_b-c.prom", "egov_mail.prom"}
    assert after() == everything - {"egov_backup_a.prom", "egov_backup_b-c.prom", "egov_mail.prom"}
    assert after() and (told / ".egov_textfiles").read_text("utf-8") == "", "what stays away is not looked for"
    (told / "egov_mail.prom").touch()
    assert "egov_mail.prom" in after(**both), "a service that came back tells again"
    assert "egov_own.prom" in after(evil="../egov_own.prom\negov_own.prom/\n") and "egov_own.prom" in after()


READERS: dict[str, Any] = {"__name__": "egov_watch"}
exec(compile(PROGRAM.read_text(encoding="utf-8"), str(PROGRAM), "exec"), READERS)
SCALARS = st.none() | st.booleans() | st.integers() | st.text()
ANSWERS = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


@given(st.dictionaries(st.text(), ANSWERS))
def test_whatever_a_daemon_says_is_read_or_refused(said: dict[str, Any]) -> None:
    """The readers raise nothing but what the program catches."""
    for read in (READERS["ospf4"], READERS["ospf6"], READERS["bgp"]):
        for data in (said, {"neighbors": said}, {"peers": said}):
            with contextlib.suppress(AttributeError, KeyError, TypeError, ValueError):
                dict(read(data))
