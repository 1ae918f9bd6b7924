"""One guest: its disk as a clone of the image, how it is booted, how to get in."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from egovctl.errors import EgovError
from egovctl.i18n import tr
from egovctl.lab.image import Image
from egovctl.lab.names import PACKAGES_IN_GUEST, LabNames
from egovctl.lab.run import PATH
from egovctl.lab.runner import data_file

DROPPED = ("CAP_SYS_TIME", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_WAKE_ALARM")
HOSTS = """\
127.0.0.1 localhost
127.0.1.1 {host}
::1 localhost ip6-localhost ip6-loopback
ff02::1 ip6-allnodes
ff02::2 ip6-allrouters
"""
INSIDE = {"PATH": PATH, "HOME": "/root", "USER": "root", "LANG": "C.UTF-8", "container": "systemd-nspawn"}


def clone(names: LabNames, image: Image, host: str, authorized_key: str) -> None:
    """Give the host a fresh disk. It boots without identity: machine-id and SSH keys are made by itself."""
    disk = names.disk(host)
    for folder in ("upper", "work", "root"):
        (disk / folder).mkdir(parents=True, exist_ok=True)
        (disk / folder).chmod(0o755)  # `upper` is the guest's /
    put(names, image, host, "/etc/hostname", f"{host}\n")
    put(names, image, host, "/etc/hosts", HOSTS.format(host=host))
    put(names, image, host, "/root/.ssh/authorized_keys", authorized_key + "\n", mode=0o600)
    (disk / "upper" / "root/.ssh").chmod(0o700)


def put(names: LabNames, image: Image, host: str, path: str, content: str, mode: int = 0o644) -> None:
    """Write a file of the host before it boots; folders on the way keep the image's owners and modes.

    Raises EgovError for a path that leads out of the host's disk: it would be a file of the machine.
    """
    upper = names.disk(host) / "upper"
    relative = Path(path.lstrip("/"))
    if ".." in relative.parts or not (upper / relative).resolve().is_relative_to(upper.resolve()):
        raise EgovError(tr(f"{host}：路径 {path} 不在主机磁盘内", f"{host}: path {path} leads out of the host's disk"))
    for folder in reversed(relative.parents[:-1]):
        if not (upper / folder).is_dir():
            (upper / folder).mkdir()
            (upper / folder).chmod(0o755)
            if (image.root / folder).is_dir():
                status = (image.root / folder).stat()
                os.chown(upper / folder, status.st_uid, status.st_gid)
                shutil.copymode(image.root / folder, upper / folder)
    (upper / relative).write_text(content, encoding="utf-8")
    (upper / relative).chmod(mode)


def boot_command(names: LabNames, image: Image, host: str) -> list[str]:
    """What the runner keeps going for this guest."""
    environment = ["SYSTEMD_NSPAWN_API_VFS_WRITABLE=network", "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1", f"PATH={PATH}"]
    script = ["sh", str(data_file("guest.sh")), str(image.root), str(names.disk(host)), "--"]
    return [
        *("env", *environment, "unshare", "--mount", "--propagation", "slave", *script),
        "--quiet",
        "--register=no",
        "--keep-unit",
        "--boot",
        "--console=read-only",
        f"--machine={names.machine(host)}",
        f"--hostname={host}",
        f"--network-namespace-path={names.netns_path(host)}",
        "--capability=all",
        f"--drop-capability={','.join(DROPPED)}",
        "--resolv-conf=off",
        "--timezone=off",
        "--link-journal=no",
        f"--bind-ro={image.packages}:{PACKAGES_IN_GUEST}",
    ]


def enter(pid: int, argv: Sequence[str]) -> list[str]:
    """The command that runs `argv` inside the guest whose PID 1 is `pid` on the machine.

    Who comes in from the machine brings the machine's capabilities along: those that a guest must not have are
    dropped here too, else `date --set` in a guest would set the machine's clock.
    """
    inside = [f"{key}={value}" for key, value in INSIDE.items()]
    if term := os.environ.get("TERM"):
        inside.append(f"TERM={term}")
    namespaces = ["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]
    less = ",".join(f"-{name.removeprefix('CAP_').lower()}" for name in DROPPED)
    drop = ["setpriv", f"--bounding-set={less}", "--inh-caps=-all", "--"]
    return ["nsenter", "--target", str(pid), *namespaces, "--root", "--", "env", "-i", "-C", "/", *inside, *drop, *argv]


def system_state(pid: int, wait: float = 0) -> str:
    """What systemd says of itself: running, degraded, starting, ...; `unknown` when it cannot be asked (yet).

    With `wait` it is asked to answer only once it has booted; then `starting` after that many seconds.
    """
    argv = ["systemctl", "is-system-running", *(["--wait"] if wait else [])]
    try:
        done = subprocess.run(
            enter(pid, argv), capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=wait or 10, check=False
        )
    except subprocess.TimeoutExpired:
        return "starting"
    return done.stdout.strip() or "unknown"


def failed_units(pid: int) -> list[str]:
    """Units that failed in the guest."""
    argv = ["systemctl", "list-units", "--failed", "--plain", "--no-legend"]
    done = subprocess.run(enter(pid, argv), capture_output=True, text=True, timeout=20, check=False)
    return [line.split()[0] for line in done.stdout.splitlines() if line.strip()]


def host_key(names: LabNames, host: str) -> str | None:
    """The public host key that the guest made, as `ssh-ed25519 AAAA...`, read on its disk: nobody is in between."""
    path = names.disk(host) / "upper/etc/ssh/ssh_host_ed25519_key.pub"
    try:
        words = path.read_text(encoding="utf-8").split()
    except FileNotFoundError:
        return None
    return " ".join(words[:2]) if len(words) >= 2 else None


def memory_bytes(pids: Sequence[int]) -> int:
    """Memory of these processes, pages that several share counted in parts (PSS)."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total
