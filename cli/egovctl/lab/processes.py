"""The lab's processes as the plan of one run: what is to be started, and the waiting for guests."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from egovctl.i18n import tr
from egovctl.lab import guest
from egovctl.lab.access import SWITCH_SECRET
from egovctl.lab.gateway import SECRET
from egovctl.lab.image import Image
from egovctl.lab.names import FABRIC, LabNames
from egovctl.lab.runner import Policy, Runner, init_pid
from egovctl.lab.smsc import SECRET as SMSC_SECRET
from egovctl.lab.state import Forward, LabState
from egovctl.lab.wiring import INTERNET
from egovctl.paths import Inventory

SWITCH_MODULE = "egovctl.lab.switch"
DHCP_MODULE = "egovctl.lab.dhcp"
GATEWAY_MODULE = "egovctl.lab.gateway"
SMSC_MODULE = "egovctl.lab.smsc"
SNMP_PORT = 161
SMS_LOG = "sms.jsonl"  # in the lab's run folder: what the stand-in for the city's gateway took
SMSC_LOG = "smsc.jsonl"  # and what the one for the operator's message centre took
BOOT_SECONDS = 180
DEAD_SECONDS = 8
BOOTED = ("running", "degraded")


@dataclass(frozen=True)
class Process:
    """One long-running process of the lab."""

    name: str
    argv: list[str]
    policy: Policy


def processes(inventory: Inventory, names: LabNames, lab: LabState) -> list[Process]:
    """All that a lab that is up has running: guests first, then the switches' agents and the forwarders."""
    image = Image(lab.image)
    result = [Process(host, guest.boot_command(names, image, host), "reboot") for host in lab.guests]
    for name, host in lab.hosts.items():
        if host.kind == "switch":
            result.append(Process(name, _switch(inventory, names, name, host.loopback), "always"))
    if lab.internet is not None:
        result.append(Process("_internet", _leases(names, lab.internet), "always"))
    if lab.gateway:
        result.append(Process("_gateway", _stand_in(inventory, names, lab, GATEWAY_MODULE), "always"))
    if lab.smsc:
        result.append(Process("_smsc", _stand_in(inventory, names, lab, SMSC_MODULE), "always"))
    return [*result, *(Process(f"_forward-{item.name}", _forward(names, item), "always") for item in lab.forwards)]


def _switch(inventory: Inventory, names: LabNames, name: str, address: str) -> list[str]:
    agent = [sys.executable, "-m", SWITCH_MODULE, "--listen", f"{address}:{SNMP_PORT}"]
    secret = str(inventory.secrets / SWITCH_SECRET)
    return ["nsenter", f"--net={names.netns_path(name)}", "--", *agent, "--community-file", secret]


def _leases(names: LabNames, address: str) -> list[str]:
    server = [sys.executable, "-m", DHCP_MODULE, "--interface", INTERNET, "--server", address]
    return ["nsenter", f"--net={names.netns_path(FABRIC)}", "--", *server]


def _stand_in(inventory: Inventory, names: LabNames, lab: LabState, module: str) -> list[str]:
    """The stand-in for the city's gateway of text messages, or for the operator's message centre, at control."""
    listen, log, secret = {
        GATEWAY_MODULE: (lab.gateway, SMS_LOG, SECRET),
        SMSC_MODULE: (lab.smsc, SMSC_LOG, SMSC_SECRET),
    }[module]
    server = [sys.executable, "-m", module, "--listen", listen, "--log", str(names.run / log)]
    given = ["--plan", str(inventory.root), "--secret-file", str(inventory.secrets / secret)]
    return ["nsenter", f"--net={names.netns_path(lab.control)}", "--", *server, *given]


def _forward(names: LabNames, item: Forward) -> list[str]:
    """socat on the machine's 127.0.0.1; each connection continues inside the host's namespace."""
    inside = " || ".join(
        f"socat -t 30 - TCP:{address}:{item.target_port},connect-timeout=5 2>/dev/null"
        for address in (item.target, "127.0.0.1")
    )
    command = f"nsenter --net={names.netns_path(item.host)} sh -c '{inside}'"
    listen = f"TCP-LISTEN:{item.port},bind=127.0.0.1,reuseaddr,fork,max-children=32"
    # By way of the environment: socat has its own quoting in addresses.
    return ["env", f"EGOV_FORWARD={command}", "socat", "-t", "30", listen, "SYSTEM:eval $EGOV_FORWARD"]


@dataclass(frozen=True)
class Booted:
    """How one guest came up: systemd's own word, the seconds it took, the units that failed."""

    host: str
    state: str
    seconds: float
    failed: tuple[str, ...] = ()
    reason: str = ""

    @property
    def good(self) -> bool:
        return self.state in BOOTED and not self.reason


def wait_for_guests(
    names: LabNames, runner: Runner, hosts: list[str], tell: Callable[[Booted], None]
) -> dict[str, Booted]:
    """Wait for all in parallel until systemd has booted and the host key is there; `tell` hears of each as it comes."""
    stop = threading.Event()
    done: dict[str, Booted] = {}
    with ThreadPoolExecutor(max_workers=16) as pool:
        try:
            for future in as_completed([pool.submit(_wait, names, runner, host, stop) for host in hosts]):
                booted = future.result()
                done[booted.host] = booted
                tell(booted)
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return done


def _wait(names: LabNames, runner: Runner, host: str, stop: threading.Event) -> Booted:
    begin = time.monotonic()
    last_alive = begin
    state = "starting"
    while not stop.is_set() and time.monotonic() - begin < BOOT_SECONDS:
        pids = runner.pids(host)
        if pids:
            last_alive = time.monotonic()
        elif time.monotonic() - last_alive > DEAD_SECONDS:
            return Booted(host, "dead", time.monotonic() - begin, reason=_last_words(names, host))
        if (pid := init_pid(pids)) is not None:
            state = guest.system_state(pid, wait=5)
            if state in BOOTED and guest.host_key(names, host):
                failed = tuple(guest.failed_units(pid)) if state == "degraded" else ()
                return Booted(host, state, time.monotonic() - begin, failed)
        stop.wait(0.15)
    return Booted(host, state, time.monotonic() - begin, reason=_no_answer())


def _no_answer() -> str:
    return tr(f"{BOOT_SECONDS} 秒内没有应答", f"no answer in {BOOT_SECONDS} s")


def _last_words(names: LabNames, host: str) -> str:
    try:
        lines = names.console(host).read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1].strip() if lines else tr("没有任何输出就结束了", "ended without a word")
