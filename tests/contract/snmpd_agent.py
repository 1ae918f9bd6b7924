"""net-snmp's own agent on loopback, with users of SNMP v3 and a state that outlives a restart."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from exporter_lab import free_port, need, process, wait_for

AUTH_PASS, PRIV_PASS = "auth-pass-canary-1", "priv-pass-canary-2"
DIGESTS = {"MD5": "MD5", "SHA": "SHA"} | {f"SHA{size}": f"SHA-{size}" for size in (224, 256, 384, 512)}
CIPHERS = {"DES": "DES", "AES": "AES", "AES192": "AES-192", "AES256": "AES-256"}


@dataclass
class Agent:
    """A net-snmp agent that can be restarted; its engine boots rise each time, as a device's do."""

    folder: Path
    port: int = field(default_factory=free_port)

    @property
    def target(self) -> str:
        """HOST:PORT."""
        return f"127.0.0.1:{self.port}"

    @contextlib.contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """The agent as a process, with its state in the test's folder."""
        argv = [need("snmpd", "snmpd"), "-f", "-Lo", "-I", "-smux", "-p", str(self.folder / "pid")]
        places = [f"SNMPCONFPATH={self.folder}:{self.folder}/state", f"SNMP_PERSISTENT_DIR={self.folder}/state"]
        output = self.folder / "snmpd.log"
        with process(["env", *places, *argv], output) as child:
            wait_for(lambda: "NET-SNMP version" in output.read_text(errors="replace"), child, output)
            yield child


def user(name: str, digest: str, cipher: str) -> str:
    """snmpd's line for a user, and its right to read."""
    return f'createUser {name} {DIGESTS[digest]} "{AUTH_PASS}" {CIPHERS[cipher]} "{PRIV_PASS}"\nrouser {name} priv\n'
