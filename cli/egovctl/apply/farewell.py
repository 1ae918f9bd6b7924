"""The last visit to a host: everything of ours is taken back, and its own keys and control's way in go last.

In two parts. First what a host can lose and still answer: services, backups, secrets; control looks at the result. Then
the rest (logins, firewall, tunnels, routing) by a unit of the host's own, since nobody can watch that to its end.
"""

from __future__ import annotations

import base64
import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from egovctl.apply import differences
from egovctl.apply.manifest import Manifest
from egovctl.apply.transaction import BOOTSTRAP, Request, Shell, apply_host, job_of, stream
from egovctl.errors import CannotMeasure
from egovctl.i18n import tr

FOLDER = "/run/egov-farewell"
WORDS = "/var/log/egov-farewell.json"
GONE_SECONDS = 90
SILENT_SECONDS = 15  # routing that is being restarted is silent for less
PARTS = ("files", "folders", "absent", "units")  # lists of entries that name their bundle
MAPS = ("packages", "users", "sysctl")  # by bundle
# What no manifest lists: keys that the host made itself, and what services of ours keep.
SECRETS = (
    "/etc/egov/keys/borg_ed25519",
    "/etc/egov/keys/borg_ed25519.pub",
    "/etc/egov/keys/syslog.key",
    "/etc/egov/keys/syslog.crt",
    "/etc/egov/keys/log_seal_ed25519",
    "/etc/egov/keys/mail.key",
    "/etc/egov/keys/sms.key",
    "/etc/egov/keys/sms_kannel.key",
    "/etc/egov/borg_passphrase",
    "/etc/snmp/egov-users.conf",
    "/var/lib/snmp/snmpd.conf",
    "/var/cache/egov-borg",
    "/var/lib/egov/backup",
)
CLEAN = (
    f"rm -rf -- {' '.join(SECRETS)}; for f in {' '.join(SECRETS)}; do [ ! -e $f ] || echo LEFT $f; done; echo CLEAN\n"
)
# The unit's script. Whatever becomes of the files, the keys and the way in go; if a file could not be taken back, the
# host keeps the program's words, for somebody at its console.
LAST = """\
sleep 2
cd {folder} || exit 1
vtysh -c 'configure terminal' -c 'no router bgp' >/dev/null 2>&1 && sleep 1  # neighbours hear of it, not of a silence
{python} -I -S -c "$(cat bootstrap)" <job >result 2>&1
if ! grep -q '"changed"' result || grep -q '"failed": true' result; then cp result {words}; fi
rm -rf /etc/egov /var/lib/egov /usr/local/lib/egov /opt/egov
rm -f /etc/sudoers.d/egov-deploy
pkill -KILL -u {user}
userdel --force --remove {user}
rm -rf {folder}
"""


def part_of(raw: Mapping[str, Any], bundles: frozenset[str]) -> dict[str, Any]:
    """A manifest as data with these bundles' parts alone."""
    kept: dict[str, Any] = {key: [item for item in raw.get(key, ()) if item["bundle"] in bundles] for key in PARTS}
    kept |= {key: {name: value for name, value in raw.get(key, {}).items() if name in bundles} for key in MAPS}
    return {**raw, **kept}


def clear(request: Request, shell: Shell) -> dict[str, Any]:
    """First part: all but what leads there is taken back and every secret of ours is gone; returns apply's result.

    Raises CannotMeasure when something secret is left.
    """
    source = request.build / request.host
    raw = json.loads((source / "manifest.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / request.host
        place.mkdir()
        (place / "rootfs").symlink_to(source / "rootfs")
        smaller = part_of(raw, frozenset(raw["confirm"]))
        (place / "manifest.json").write_text(json.dumps(smaller), encoding="utf-8")
        result = apply_host(replace(request, build=Path(folder)), shell)
    if result.get("failed") or request.check:
        return result
    answer = shell("/bin/sh -s", CLEAN.encode())
    left = [line.split()[1] for line in answer.stdout.splitlines() if line.startswith("LEFT ")]
    if left or "CLEAN" not in answer.stdout:
        said = ", ".join(left) or answer.stderr.strip()[-200:]
        raise CannotMeasure(tr(f"{request.host}：无法删除 {said}", f"{request.host}: could not remove {said}"))
    return {**result, "secrets": list(SECRETS)}


def leave(request: Request, shell: Shell, user: str) -> None:
    """Second part: arm the unit that takes everything else back, and come away. CannotMeasure when it was not taken."""
    nothing = Manifest(request.host, "", "", request.build)
    job = job_of(replace(request, confirm_seconds=0, check=False), nothing, nothing, {}, ["", ""], {}, {})
    job["keep"] = differences.kept(nothing)
    texts = {
        "bootstrap": BOOTSTRAP.encode(),
        "job": stream(job),
        "run": LAST.format(folder=FOLDER, words=WORDS, python=request.python, user=user).encode(),
    }
    lines = [f"umask 077; rm -rf {FOLDER}; mkdir {FOLDER} || exit 1"]
    for name, data in texts.items():
        lines.append(f"base64 -d >{FOLDER}/{name} <<'END' || exit 1\n{base64.encodebytes(data).decode()}END")
    lines.append(f"systemd-run --quiet --collect --unit=egov-farewell /bin/sh {FOLDER}/run || exit 1; echo ARMED")
    answer = shell("/bin/sh -s", ("\n".join(lines) + "\n").encode())
    if "ARMED" not in answer.stdout:
        said = answer.stderr.strip()[-200:]
        raise CannotMeasure(
            tr(f"{request.host}：无法开始最后的清理：{said}", f"{request.host}: its last part did not begin: {said}")
        )


def await_silence(request: Request, seconds: float = GONE_SECONDS, still: float = SILENT_SECONDS) -> None:
    """Return once nobody has got in for `still` seconds; CannotMeasure when somebody does after `seconds`."""
    limit = time.monotonic() + seconds
    silent_since: float | None = None
    while silent_since is None or time.monotonic() - silent_since < still:
        if request.knock("true") is None:
            silent_since = silent_since or time.monotonic()
        elif time.monotonic() > limit:
            raise CannotMeasure(
                tr(
                    f"{request.host}：{seconds:g} 秒后仍可登录；请在主机上查看 systemctl status egov-farewell",
                    f"{request.host}: it still lets control in after {seconds:g} s; look there at systemctl status "
                    "egov-farewell",
                )
            )
        else:
            silent_since = None
        time.sleep(1)
