"""A host for the tests of apply: a folder as its root, a small systemctl, a tree of sysctls."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from egovctl.apply import on_host
from egovctl.apply.transaction import BOOTSTRAP, stream

# A unit remembers what its configuration said when it was last started or reloaded, and dies of the word BAD in it.
SYSTEMCTL = """\
#!/bin/sh
S={state}
while case "$1" in --*) true;; *) false;; esac; do shift; done
verb=$1; shift
case $verb in is-*|list-*|show) ;; *) echo "$verb $*" >>$S/log;; esac
read_configuration() {{
  if grep -qs BAD {root}/etc/"$1".conf; then echo failed >$S/"$1".active; echo "configuration is BAD" >&2; exit 1; fi
  cat {root}/etc/"$1".conf >$S/"$1".loaded 2>/dev/null; echo active >$S/"$1".active
}}
case $verb in
  is-active) for u; do cat $S/"$u".active 2>/dev/null || echo inactive; done;;
  list-units) for u; do [ ! -e $S/"$u".active ] || echo "$u loaded $(cat $S/"$u".active) any A unit"; done;;
  list-unit-files) for u; do case $u in --*) ;; *) [ ! -e $S/"$u".enabled ] ||
    echo "$u $(cat $S/"$u".enabled) enabled";; esac; done;;
  show) for u; do case $u in -p|Id|NRestarts) ;; *)
    echo "Id=$u"; echo "NRestarts=$(cat $S/"$u".restarts 2>/dev/null)"; echo;; esac; done;;
  is-enabled) for u; do cat $S/"$u".enabled 2>/dev/null || exit 1; done;;
  start|restart) for u; do [ -e $S/"$u".enabled ] || exit 5; read_configuration "$u"; done;;
  reload) for u; do [ "$(cat $S/"$u".active)" = active ] || exit 1; read_configuration "$u"; done;;
  stop) for u; do [ -e $S/"$u".enabled ] || continue; echo inactive >$S/"$u".active; rm -f $S/"$u".loaded; done;;
  enable|unmask) for u; do
    if [ -e $S/"$u".stuck ]; then echo "Failed to $verb unit: $u is stuck" >&2; exit 1; fi
    echo enabled >$S/"$u".enabled; done;;
  disable) for u; do echo disabled >$S/"$u".enabled; done;;
  reset-failed) for u; do [ "$(cat $S/"$u".active)" != failed ] || echo inactive >$S/"$u".active; done;;
  mask) for u; do echo masked >$S/"$u".enabled; done;;
  *) :;;
esac
"""


@dataclass
class FakeHost:
    """`top` holds root/ (the host's files) and state/ (systemctl's)."""

    top: Path
    counter: int = 0
    test: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def make(cls, top: Path) -> FakeHost:
        host = cls(top)
        for folder in (host.root / "etc", host.root / "proc/sys/net", host.state, top / "bin"):
            folder.mkdir(parents=True)
        host.wire()
        return host

    def wire(self) -> None:
        """Write systemctl for where the host is now (a copy of a host is another host)."""
        program = self.top / "bin/systemctl"
        program.write_text(SYSTEMCTL.format(state=self.state, root=self.root))
        program.chmod(0o755)
        timer = self.top / "bin/systemd-run"
        timer.write_text(f'#!/bin/sh\necho "systemd-run $*" >>{self.state}/log\n')
        timer.chmod(0o755)
        path = f"{self.top}/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        self.test = {"root": str(self.root), "path": path, "settle": 0, "no_owners": True, "lock_seconds": 0.3}

    @property
    def root(self) -> Path:
        return self.top / "root"

    @property
    def state(self) -> Path:
        return self.top / "state"

    @property
    def base(self) -> Path:
        return self.root / on_host.BASE[1:]

    def unit(self, name: str, enabled: str = "disabled", active: str = "inactive") -> None:
        (self.state / f"{name}.enabled").write_text(enabled + "\n")
        (self.state / f"{name}.active").write_text(active + "\n")

    def unit_state(self, name: str) -> tuple[str, str]:
        return tuple((self.state / f"{name}.{kind}").read_text().strip() for kind in ("enabled", "active"))  # type: ignore[return-value]

    def sysctl(self, name: str, value: str | None = None) -> str:
        place = self.root / on_host.sysctl_path(name)[1:]
        if value is not None:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(value + "\n")
        return place.read_text().strip()

    def put(self, path: str, text: str, mode: int = 0o644) -> None:
        place = self.root / path[1:]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(mode)

    def text(self, path: str) -> str | None:
        place = self.root / path[1:]
        return place.read_text() if place.is_file() else None

    def commands(self) -> list[str]:
        """What systemctl was asked to do since the last question."""
        log = self.state / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines

    def tree(self) -> dict[str, tuple[str, str, int]]:
        """Everything but the program's own folder: path → kind, content, mode."""
        found = {}
        for place in sorted(self.root.rglob("*")):
            path = "/" + str(place.relative_to(self.root))
            if path.startswith(on_host.BASE) or path in ("/var", "/var/lib"):
                continue
            info = place.lstat()
            if place.is_symlink():
                found[path] = ("link", str(place.readlink()), 0)
            elif place.is_dir():
                found[path] = ("folder", "", info.st_mode & 0o7777)
            else:
                found[path] = ("file", place.read_text(), info.st_mode & 0o7777)
        return found

    def units(self) -> dict[str, str]:
        """Every unit's state and what it has loaded."""
        return {place.name: place.read_text() for place in sorted(self.state.iterdir()) if place.name != "log"}

    def job(self, wanted: dict[str, Any], **options: Any) -> dict[str, Any]:
        """A job for a hand-written manifest: files are {path: text or (text, mode, actions, validate)}."""
        self.counter += 1
        secrets: dict[str, str] = options.pop("secrets", {})
        files = [_file(path, given, secrets) for path, given in wanted.get("files", {}).items()]
        folders = [
            {"path": path, "mode": mode, "owner": "root", "group": "root", "bundle": "base"}
            for path, mode in wanted.get("folders", {}).items()
        ]
        units = [
            {"name": name, "bundle": "base", "enabled": state[0], "active": state[1]}
            for name, state in wanted.get("units", {}).items()
        ]
        sysctls = [{"name": n, "value": v, "bundle": "base"} for n, v in wanted.get("sysctls", {}).items()]
        named = [item["path"] for item in (*files, *folders)]
        above = [str(parent) for path in named for parent in Path(path).parents]
        keep = {"files": [f["path"] for f in files], "folders": [f["path"] for f in folders] + above}
        keep.update(units=[u["name"] for u in units], sysctls=[s["name"] for s in sysctls])
        actions = dict.fromkeys(action for item in files for action in item["actions"])
        job = {
            "protocol": on_host.PROTOCOL,
            "id": f"{self.counter:019d}",
            "host": "h1",
            "revision": "r",
            "nonce": ["a", "b"],
            "bundles": None,
            "keep": keep,
            "files": files,
            "folders": folders,
            "absent": [{"path": path, "bundle": "base"} for path in wanted.get("absent", ())],
            "units": units,
            "sysctls": sysctls,
            "order": wanted.get("order", list(actions)),
            "secrets": secrets,
            "test": self.test,
        }
        return {**job, **options}

    def apply(self, wanted: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Apply in this process."""
        job = self.job(wanted, **options)
        decoded = on_host.read_job(zlib.compress(json.dumps(job).encode()))
        umask = os.umask(0o077)
        try:
            return on_host.apply(on_host.Machine(decoded.test), decoded)
        finally:
            os.umask(umask)

    def start(self, job: dict[str, Any]) -> subprocess.CompletedProcess[bytes]:
        """Apply as it happens on a host: the program and the job on standard input."""
        return subprocess.run([sys.executable, "-I", "-S", "-c", BOOTSTRAP], input=stream(job), capture_output=True)

    def confirm(self, job: str) -> dict[str, Any]:
        """The kept program's confirm."""
        environment = {**os.environ, "EGOV_APPLY_TEST": json.dumps(self.test)}
        command = [sys.executable, "-I", "-S", on_host.__file__, "confirm", job]
        done = subprocess.run(command, env=environment, capture_output=True)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def recover(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """The installed program's recover."""
        environment = {**os.environ, "EGOV_APPLY_TEST": json.dumps(self.test)}
        command = [sys.executable, "-I", "-S", on_host.__file__, "recover", *arguments]
        return subprocess.run(command, env=environment, capture_output=True)


def _file(path: str, given: Any, secrets: dict[str, str]) -> dict[str, Any]:
    text, mode, actions, validate = given if isinstance(given, tuple) else (given, "0644", [], "")
    rendered = text.encode()
    content = on_host.substitute(rendered, secrets)
    secret = content != rendered
    digest = on_host.keyed_digest(["a", "b"], content) if secret else hashlib.sha256(content).hexdigest()
    return {
        "path": path,
        "mode": mode,
        "owner": "root",
        "group": "root",
        "bundle": "base",
        "digest": digest,
        "secret": secret,
        "validate": validate,
        "actions": list(actions),
        "data": base64.b64encode(rendered).decode(),
    }
