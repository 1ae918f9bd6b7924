"""Lynis beside: copied into a host of the lab for the bench, run whole, its warnings and suggestions compared."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path

from egovctl import lab
from egovctl.paths import Inventory

TREES = ("etc/lynis", "usr/share/lynis")
PROGRAM = "usr/sbin/lynis"
REPORT = "/run/lynis-report.dat"
SECONDS = 600
# Whole it takes half a minute; after a seed those groups run that may tell of what was planted.
AREAS = {
    "sshd": "ssh file_permissions authentication",
    "accounts": "authentication homedirs shells file_permissions insecure_services",
    "kernel": "kernel kernel_hardening networking",
    "network": "firewalls insecure_services networking nameservers snmp storage_nfs databases ssh",
    "files": "file_permissions filesystems homedirs scheduling boot_services storage_nfs authentication",
    "state": "logging time ports_packages boot_services insecure_services hardening",
    "services": "databases mail_messaging crypto scheduling logging",
}
RUN = ["/usr/sbin/lynis", "audit", "system", "--quick", "--quiet", "--no-colors", "--no-log", "--report-file", REPORT]
# Standard library only; sent over, not stored.
TIMED = """
import json, os, resource, subprocess, sys, time
report, argv = sys.argv[1], sys.argv[2:]
begun = time.monotonic()
try:
    os.unlink(report)
except FileNotFoundError:
    pass
done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, cwd="/")
used = resource.getrusage(resource.RUSAGE_CHILDREN)
try:
    text = open(report, errors="replace").read()
except FileNotFoundError:
    text = ""
print(json.dumps({"wall": time.monotonic() - begun, "cpu": used.ru_utime + used.ru_stime, "report": text,
                  "said": done.stderr.decode("utf-8", "replace")[-300:]}))
"""


@dataclass(frozen=True)
class Audit:
    """One run: its warnings, suggestions and details as the report has them, seconds, seconds of CPU."""

    told: frozenset[str]
    wall: float
    cpu: float


def available(tools: Path) -> bool:
    """Whether `make .tools/.ready` has fetched it."""
    return (tools / PROGRAM).is_file()


def install(inventory: Inventory, host: str, tools: Path) -> None:
    """Copy Lynis into a host, as Debian's package would lay it."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name in (*TREES, PROGRAM):
            archive.add(tools / name, arcname=name, filter=_owned_by_root)
    text = base64.b64encode(data.getvalue()).decode()
    _done(lab.exec_in(inventory, host, ["sh", "-c", "base64 -d | tar -xzf - -C /"], input=text))


def remove(inventory: Inventory, host: str) -> None:
    """Take it away again, with what it leaves."""
    paths = [f"/{name}" for name in (*TREES, PROGRAM)]
    _done(lab.exec_in(inventory, host, ["rm", "-rf", *paths, REPORT, "/var/log/lynis.log", "/run/lynis.pid"]))


def audit(inventory: Inventory, host: str, area: str | None = None) -> Audit:
    """Run it once: whole, or the groups of one area. RuntimeError when it left no report."""
    argv = [*RUN, *(["--tests-from-group", AREAS[area]] if area else [])]
    done = lab.exec_in(inventory, host, ["python3", "-c", TIMED, REPORT, *argv], timeout=SECONDS)
    answer = json.loads(done.stdout) if done.returncode == 0 else {"report": "", "said": done.stderr[-300:]}
    if "lynis_version=" not in answer["report"]:
        raise RuntimeError(f"{host}: lynis left no report: {answer['said']}")
    return Audit(told(answer["report"]), answer["wall"], answer["cpu"])


def told(report: str) -> frozenset[str]:
    """The warnings, suggestions and details of a report: a line each, with the thing that it names."""
    lines = (line.strip() for line in report.splitlines())
    return frozenset(line for line in lines if line.startswith(("warning[]=", "suggestion[]=", "details[]=")))


def _owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry


def _done(done: object) -> None:
    code, said = getattr(done, "returncode"), getattr(done, "stderr")  # noqa: B009
    if code != 0:
        raise RuntimeError(f"lynis could not be copied: {said}")
