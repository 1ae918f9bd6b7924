"""What a restored system is asked once it runs: what the live one answers, as far as it can be asked without a network.

Each question is one line of PROBES. Those whose unit the system does not have are not asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from egovctl.drill.borg import Deadline
from egovctl.drill.causes import Cause
from egovctl.drill.judging import Finding, finding
from egovctl.drill.scratch import System
from egovctl.drill.system_manifest import Described
from egovctl.errors import CannotMeasure
from egovctl.i18n import both, told

READY = ("running", "degraded")
BETWEEN = 0.1
ONE = 60.0  # seconds for one question
# They need a peer, an interface, a clock or a device that a scratch does not have: nothing is said of them.
OUTSIDE = ("wg-quick@", "egov-shape@", "kea-dhcp4-server", "chrony", "egov-backup@", "systemd-networkd-wait-online")
# What a database's own backup has is left out of the system's: its server has no data here.
DATA = {
    "/var/lib/mysql/*": ("mariadb.", "egov-mariadb"),
    "/var/lib/postgresql/*": ("postgresql", "egov-postgresql"),
}
MASKED = ("systemd-networkd-wait-online.service",)  # there is no interface to wait for


# Its own look at a configuration asks for the interfaces, too, and a scratch has none.
KEA = """sed 's/"interfaces": *\\[[^]]*\\]/"interfaces": []/' /etc/kea/kea-dhcp4.conf | kea-dhcp4 -t /dev/stdin"""


@dataclass(frozen=True)
class Probe:
    """A question: asked when the unit is enabled; right when the program ends with 0 and says what it must."""

    name: str
    zh: str
    unit: str
    argv: tuple[str, ...]
    says: Callable[[str], bool] = lambda text: True


PROBES = (
    Probe("sshd's configuration", "sshd 配置", "ssh.service", ("sshd", "-t")),
    Probe("FRR's configuration", "FRR 配置", "frr.service", ("vtysh", "-C")),
    Probe(
        "FRR runs",
        "FRR 运行",
        "frr.service",
        ("vtysh", "-c", "show running-config"),
        lambda text: "frr version" in text,
    ),
    Probe("the filter's rules", "过滤规则文件", "nftables.service", ("nft", "-c", "-f", "/etc/nftables.conf")),
    Probe(
        "the filter is in force",
        "过滤规则已生效",
        "nftables.service",
        ("nft", "list", "ruleset"),
        lambda text: "chain" in text,
    ),
    Probe("chrony's configuration", "chrony 配置", "chrony.service", ("chronyd", "-p")),
    Probe("rsyslog's configuration", "rsyslog 配置", "rsyslog.service", ("rsyslogd", "-N1")),
    Probe("unbound's configuration", "unbound 配置", "unbound.service", ("unbound-checkconf",)),
    Probe("Kea's configuration", "Kea 配置", "kea-dhcp4-server.service", ("sh", "-c", KEA)),
)


ZH = {
    "boot": "启动",
    "host name": "主机名",
    "packages": "软件包",
    "enabled units": "已启用的单元",
    "running services": "运行中的服务",
    "its address": "地址",
    **{probe.name: probe.zh for probe in PROBES},
}


@dataclass
class Answers:
    """What was answered: question → "" when it is right, else what was said instead.

    `outside` are failed units that need what a scratch does not have.
    """

    state: str = ""
    said: dict[str, str] = field(default_factory=dict)
    failed: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()


def wait_until_ready(box: System, deadline: Deadline) -> str:
    """Until systemd says that it has booted; its last word when time is over, "starting" for one that never spoke."""
    state = "starting"
    while time.monotonic() < deadline.at:
        done = box.run(["systemctl", "is-system-running"], timeout=min(ONE, deadline.left))
        state = done.stdout.decode("utf-8", "replace").strip() or "starting"
        if state in READY:
            return state
        time.sleep(BETWEEN)
    return state


def ask(box: System, described: Described, host: str, address: str | None, state: str, deadline: Deadline) -> Answers:
    """All questions. `address` is the one by which the plan knows the machine; None when its system does not set it."""
    answers = Answers(state)
    outside = (*OUTSIDE, *(prefix for path in described.excluded for prefix in DATA.get(path, ())))
    failed = _words(box, deadline, "systemctl", "list-units", "--state=failed", "--plain", "--no-legend")
    answers.outside = tuple(sorted(unit for unit in failed if unit.startswith(outside)))
    answers.failed = tuple(sorted(unit for unit in failed if not unit.startswith(outside)))
    said = answers.said
    said["host name"] = _differs({host}, {_text(box, deadline, "hostname")})
    packages = _lines(box, deadline, "dpkg-query", "--show", "--showformat", "${Package} ${Version}\n")
    said["packages"] = _differs(set(described.packages), packages)
    enabled = _words(box, deadline, "systemctl", "list-unit-files", "--state=enabled", "--no-legend", "--no-pager")
    said["enabled units"] = _differs(set(described.units.difference(MASKED)), enabled.difference(MASKED))
    running = _words(
        box, deadline, "systemctl", "list-units", "--type=service", "--state=active", "--plain", "--no-legend"
    )
    wanted = {unit for unit in described.active & described.units if not unit.startswith(outside)}
    said["running services"] = _differs(wanted, running & wanted)
    if address is not None:
        shown = _text(box, deadline, "ip", "-o", "address")
        said["its address"] = "" if f" {address}/" in shown else told(f"没有 {address}", f"{address} is not set")
    for probe in PROBES:
        if probe.unit in described.units:
            said[probe.name] = _asked(box, deadline, probe)
    return answers


def findings(answers: Answers, described: Described) -> Iterator[Finding]:
    """What is wrong. A unit that had failed on the live system already is no fault of its backup."""
    if answers.state not in READY:
        zh = f"系统未能启动完成：{answers.state}"
        yield finding(Cause.NOT_STARTED, zh, f"the system did not come up: {answers.state}")
    if new := [unit for unit in answers.failed if unit not in described.failed]:
        names = ", ".join(new)
        yield finding(Cause.NOT_STARTED, f"启动失败的单元：{names}", f"units that failed: {names}")
    for name, wrong in answers.said.items():
        if wrong:
            both_said = both(wrong)
            yield finding(Cause.NOT_STARTED, f"{ZH[name]}：{both_said['zh']}", f"{name}: {both_said['en']}")


def _asked(box: System, deadline: Deadline, probe: Probe) -> str:
    done = box.run(list(probe.argv), timeout=min(ONE, deadline.left))
    text = done.stdout.decode("utf-8", "replace")
    if done.returncode or not probe.says(text):
        last = (done.stderr.decode("utf-8", "replace") or text).strip().splitlines()[-1:]
        command, said = " ".join(probe.argv), "".join(last)[:200]
        return told(f"{command} 以 {done.returncode} 结束：{said}", f"{command} ended {done.returncode}: {said}")
    return ""


def _text(box: System, deadline: Deadline, *argv: str) -> str:
    """What a program says; CannotMeasure when it fails: then the question was not answered."""
    done = box.run(list(argv), timeout=min(ONE, deadline.left))
    if done.returncode:
        raise CannotMeasure(f"{' '.join(argv)}: {done.stderr.decode('utf-8', 'replace').strip()[:200]}")
    return done.stdout.decode("utf-8", "replace").strip()


def _lines(box: System, deadline: Deadline, *argv: str) -> set[str]:
    return {line.strip() for line in _text(box, deadline, *argv).splitlines() if line.strip()}


def _words(box: System, deadline: Deadline, *argv: str) -> set[str]:
    return {line.split()[0] for line in _lines(box, deadline, *argv)}


def _differs(wanted: set[str], there: set[str]) -> str:
    """ "" when they are the same."""
    lacking, more = (", ".join(sorted(names)[:5]) for names in (wanted - there, there - wanted))
    parts = [(lacking, "缺少", "missing"), (more, "多出", "more")]
    zh = "；".join(f"{word} {names}" for names, word, _ in parts if names)
    return told(zh, "; ".join(f"{word}: {names}" for names, _, word in parts if names)) if zh else ""
