"""Our user-based security model against net-snmp's agent, with nothing but a socket between them.

If this fails, the lab's hosts go dark, or a reboot of a device costs scrapes, or wrong credentials get no sentence.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from snmpd_agent import AUTH_PASS, CIPHERS, DIGESTS, PRIV_PASS, Agent, user

from egov_exporters.snmp.ber import GET, GET_BULK, BadMessage, decode_pdu, encode_pdu, oid_octets
from egov_exporters.snmp.config import Auth
from egov_exporters.snmp.engine import Engines
from egov_exporters.snmp.security import Again
from egov_exporters.snmp.session import Rejected
from egov_exporters.snmp.usm import Usm

SYS_NAME, IF_TABLE = (1, 3, 6, 1, 2, 1, 1, 5, 0), (1, 3, 6, 1, 2, 1, 2, 2, 1)
PAIRS = [(digest, "AES") for digest in DIGESTS] + [("SHA256", cipher) for cipher in CIPHERS if cipher != "AES"]
PAIRS += [("SHA", "AES192"), ("MD5", "AES256"), ("MD5", "DES")]  # digests that are shorter than the key, and the oldest
NOC = Auth(
    "lab",
    version=3,
    username="uSHA256AES",
    security_level="authPriv",
    password=AUTH_PASS,
    auth_protocol="SHA256",
    priv_protocol="AES",
    priv_password=PRIV_PASS,
)


@dataclass
class Manager:
    """A blocking socket and a Usm."""

    agent: Agent
    auth: Auth
    engines: Engines = field(default_factory=Engines)
    number: int = 0x10000000
    again: int = 0  # how often the last request was sealed anew

    def __post_init__(self) -> None:
        self.usm = Usm(("127.0.0.1", self.agent.port), self.auth, self.engines)

    def ask(self, kind: int, name: tuple[int, ...], repetitions: int = 0, wait: float = 2.0) -> list[tuple[int, bytes]]:
        """Tags and octets of the values in the reply. Raises TimeoutError, Rejected, BadMessage."""
        self.number += 1
        self.again = 0
        pdu = encode_pdu(kind, [oid_octets(name)], 0, repetitions).with_id(self.number)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
            link.connect(("127.0.0.1", self.agent.port))
            link.settimeout(wait)
            while self.again <= 2:
                link.send(self.usm.seal(self.number, pdu))
                try:
                    reply = self.usm.open(link.recv(65_535))
                except Again:
                    self.again += 1
                    continue
                return values(reply)
        pytest.fail("sealed again for ever")

    def get(self, name: tuple[int, ...] = SYS_NAME, wait: float = 2.0) -> bytes:
        """The octets of one value."""
        return self.ask(GET, name, wait=wait)[0][1]


def values(reply: bytes) -> list[tuple[int, bytes]]:
    """Tags and octets in a response PDU."""
    return [tuple(one.cell) for one in decode_pdu(reply).varbinds]


def agent_in(folder: Path, users: str) -> Agent:
    """An agent's files."""
    one = Agent(folder)
    (folder / "state").mkdir()
    (folder / "snmpd.conf").write_text(f"agentaddress udp:127.0.0.1:{one.port}\nsysName canary-name\n{users}")
    return one


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """An agent with a user for each pair of protocols, and two that need less."""
    users = "".join(user(f"u{digest}{cipher}", digest, cipher) for digest, cipher in PAIRS)
    users += f'createUser signer SHA-512 "{AUTH_PASS}"\nrouser signer auth\ncreateUser open\nrouser open noauth\n'
    one = agent_in(tmp_path_factory.mktemp("snmpd"), users)
    with one.running():
        yield one


def auth_of(digest: str, cipher: str) -> Auth:
    """The auth of one of the agent's users."""
    return replace(NOC, username=f"u{digest}{cipher}", auth_protocol=digest, priv_protocol=cipher)


@pytest.mark.parametrize(("digest", "cipher"), PAIRS)
def test_each_pair_of_protocols(live: Agent, digest: str, cipher: str) -> None:
    """One Get and a walk by GetBulk; after the first request nothing is asked twice."""
    manager = Manager(live, auth_of(digest, cipher))
    assert manager.get() == b"canary-name"
    assert 1 <= manager.again <= 2 and 5 <= len(manager.usm.engine_id) <= 32
    for repetitions in (1, 10, 40):
        cells = manager.ask(GET_BULK, IF_TABLE, repetitions)
        assert len(cells) == repetitions and manager.again == 0


@pytest.mark.parametrize(
    ("username", "level", "digest"),
    [("signer", "authNoPriv", "SHA512"), ("open", "noAuthNoPriv", "MD5"), ("uSHA256AES", "authPriv", "SHA256")],
)
def test_each_security_level(live: Agent, username: str, level: str, digest: str) -> None:
    """Signed and encrypted, signed, and neither."""
    manager = Manager(live, replace(NOC, username=username, security_level=level, auth_protocol=digest))
    assert manager.get() == b"canary-name"
    assert manager.get() == b"canary-name" and manager.again == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"password": "not-the-password"}, "rejects the authentication"),
        ({"auth_protocol": "SHA512"}, "rejects the authentication"),
        ({"username": "nobody"}, "does not know the user"),
        ({"username": "signer", "auth_protocol": "SHA512"}, "does not offer this security level"),
    ],
)
def test_wrong_credentials(live: Agent, changes: dict[str, str], words: str) -> None:
    """Each is told by its sentence, at once."""
    with pytest.raises(Rejected, match=words):
        Manager(live, replace(NOC, **changes)).get()


@pytest.mark.parametrize("changes", [{"priv_password": "not-the-password"}, {"context_name": "vlan-99"}])
def test_what_net_snmp_drops_without_a_word(live: Agent, changes: dict[str, str]) -> None:
    """A privacy password that makes rubbish, and a context that is not there: silence, and never a value."""
    with pytest.raises(TimeoutError):
        Manager(live, replace(NOC, **changes)).get(wait=0.5)


def test_the_register_notes_who_answered(live: Agent) -> None:
    """Two addresses, one engine ID: both are named; a wrong password notes nothing."""
    engines = Engines()
    manager = Manager(live, NOC, engines)
    manager.get()
    other = Usm(("192.0.2.9", 161), NOC, engines)
    manager.usm = other
    manager.get()
    assert engines.shared() == {other.engine_id: {("127.0.0.1", live.port), ("192.0.2.9", 161)}}
    engines = Engines()
    with pytest.raises(Rejected):
        Manager(live, replace(NOC, password="not-the-password"), engines).get()
    assert not engines.addresses(other.engine_id)


def test_a_reboot_costs_one_report(tmp_path: Path) -> None:
    """The agent starts again with higher boots: one request is sealed anew, and its reply counts."""
    agent = agent_in(tmp_path, user(NOC.username, "SHA256", "AES"))
    manager = Manager(agent, NOC)
    for boots in range(1, 4):
        with agent.running():
            assert manager.get() == b"canary-name"
            assert boots == 1 or manager.again == 1
            manager.get()
            assert manager.again == 0
        assert f"engineBoots {boots}" in (tmp_path / "state" / "snmpd.conf").read_text()


def test_boots_that_were_reset(tmp_path: Path) -> None:
    """The same engine ID, but boots that began again at 1 (a device set back to its factory state)."""
    agent = agent_in(tmp_path, user(NOC.username, "SHA256", "AES") + "exactEngineID 0x80001f8880deadbeef01\n")
    manager = Manager(agent, NOC)
    for _ in range(3):
        with agent.running():
            manager.get()
    (tmp_path / "state" / "snmpd.conf").unlink()
    with agent.running():
        assert manager.get() == b"canary-name" and manager.again == 1
        assert manager.usm.engine_id.hex() == "80001f8880deadbeef01"


def test_a_replaced_device(tmp_path: Path) -> None:
    """The same address and user with another engine ID: the very request that meets it is answered."""
    agent = agent_in(tmp_path, user(NOC.username, "SHA256", "AES"))
    manager = Manager(agent, NOC)
    with agent.running():
        manager.get()
    before = manager.usm.engine_id
    (tmp_path / "state" / "snmpd.conf").unlink()
    with agent.running():
        assert manager.get() == b"canary-name" and 1 <= manager.again <= 2
        assert manager.usm.engine_id != before
        assert manager.engines.addresses(before) == frozenset()


def test_an_engine_that_was_doubted_is_found_again(live: Agent) -> None:
    """After silence the engine is asked for anew."""
    manager = Manager(live, NOC)
    manager.get()
    manager.usm.doubt()
    assert manager.usm.engine_id == b""
    assert manager.get() == b"canary-name" and manager.again == 1


def test_a_reply_counts_once(live: Agent) -> None:
    """The same datagram again is no answer to anything."""
    manager = Manager(live, NOC)
    manager.get()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.connect(("127.0.0.1", live.port))
        link.settimeout(2)
        link.send(manager.usm.seal(0x20000000, encode_pdu(GET, [oid_octets(SYS_NAME)]).with_id(0x20000000)))
        reply = link.recv(65_535)
    assert values(manager.usm.open(reply)) == [(4, b"canary-name")]
    with pytest.raises(BadMessage):
        manager.usm.open(reply)
