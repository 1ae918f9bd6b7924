"""SNMP v3 against net-snmp's own agent: digests, encryption, wrong credentials, and a device that reboots.

If this fails, the lab's hosts (which speak v3 authPriv only) would go dark, or wrong credentials would look like a dead
device without a word why.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from exporter_lab import Running, exporter, parse
from snmpd_agent import AUTH_PASS, CIPHERS, DIGESTS, PRIV_PASS, Agent, user

SUCCESS = ("snmp_module_success", frozenset({("module", "if_mib")}))


def auth(name: str, username: str, digest: str, cipher: str, **changes: str) -> str:
    """Our configuration's entry for it."""
    values = {
        "version": "3",
        "username": username,
        "security_level": "authPriv",
        "password": AUTH_PASS,
        "auth_protocol": digest,
        "priv_protocol": cipher,
        "priv_password": PRIV_PASS,
    } | changes
    return f"  {name}:\n" + "".join(f"    {key}: {value}\n" for key, value in values.items())


PAIRS = [(digest, "AES") for digest in DIGESTS] + [("SHA256", cipher) for cipher in CIPHERS if cipher != "AES"]


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Agent:
    """An agent's files: one user for each pair of protocols."""
    one = Agent(tmp_path_factory.mktemp("snmpd"))
    (one.folder / "state").mkdir()
    users = "".join(user(f"u{digest}{cipher}", digest, cipher) for digest, cipher in PAIRS)
    (one.folder / "snmpd.conf").write_text(f"agentaddress udp:127.0.0.1:{one.port},udp6:[::1]:{one.port}\n{users}")
    return one


@pytest.fixture(scope="module")
def ours(agent: Agent, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Our exporter with an auth for each pair, and some that are wrong on purpose."""
    entries = [auth(f"{digest}_{cipher}", f"u{digest}{cipher}", digest, cipher) for digest, cipher in PAIRS]
    entries += [
        auth("wrong_password", "uSHA256AES", "SHA256", "AES", password="not-the-password"),
        auth("wrong_priv", "uSHA256AES", "SHA256", "AES", priv_password="not-the-password"),
        auth("unknown_user", "nobody", "SHA256", "AES"),
        auth("other_context", "uSHA256AES", "SHA256", "AES", context_name="vlan-99"),
        auth("not_encrypted", "uSHA256AES", "SHA256", "AES", security_level="authNoPriv"),
    ]
    with exporter(tmp_path_factory.mktemp("exporter"), "auths:\n" + "".join(entries)) as running:
        yield running


@pytest.fixture(scope="module")
def live(agent: Agent) -> Iterator[Agent]:
    """The agent, running."""
    with agent.running():
        yield agent


@pytest.mark.parametrize(("digest", "cipher"), PAIRS)
def test_each_pair_of_protocols_works(live: Agent, ours: Running, digest: str, cipher: str) -> None:
    """A full scrape with authentication and encryption."""
    status, text = ours.scrape(live.target, auth=f"{digest}_{cipher}")
    assert status == 200, text
    page = parse(text)
    assert page.series[SUCCESS] == 1
    names = {dict(labels).get("ifName") for name, labels in page.series if name == "ifHCInOctets"}
    assert "lo" in names


@pytest.mark.parametrize(
    ("auth_name", "words"),
    [
        ("wrong_password", "rejects the authentication"),
        ("wrong_priv", ""),
        ("unknown_user", "does not know the user"),
        ("other_context", ""),
        ("not_encrypted", "answers every request with an error"),
    ],
)
def test_wrong_credentials_are_named_without_secrets(live: Agent, ours: Running, auth_name: str, words: str) -> None:
    """HTTP 500, a sentence with target and auth, and nothing secret in it or in the log."""
    status, text = ours.scrape(live.target, seconds=4, auth=auth_name)
    assert status == 500
    assert live.target in text and auth_name in text and words in text
    assert text.count("\n") == 1
    said = text + ours.output.read_text()
    assert not [secret for secret in (AUTH_PASS, PRIV_PASS, "not-the-password") if secret in said]


def test_ipv6(live: Agent, ours: Running) -> None:
    """The same over IPv6."""
    status, text = ours.scrape(f"[::1]:{live.port}", auth="SHA256_AES")
    assert status == 200 and parse(text).series[SUCCESS] == 1


def test_many_scrapes_at_once_share_an_engine(live: Agent, ours: Running) -> None:
    """Ten at a time, all complete: replies find their requests."""
    with ThreadPoolExecutor(10) as pool:
        pages = list(pool.map(lambda _: ours.scrape(live.target, auth="SHA256_AES"), range(10)))
    assert [parse(text).series[SUCCESS] for _, text in pages] == [1] * 10


def lab_agent(folder: Path) -> Agent:
    """An agent with the user `noc`, in a folder of its own."""
    one = Agent(folder)
    (folder / "state").mkdir()
    (folder / "snmpd.conf").write_text(f"agentaddress udp:127.0.0.1:{one.port}\n{user('noc', 'SHA256', 'AES')}")
    return one


def complete(ours: Running, one: Agent) -> bool:
    """Whether a scrape of the agent reads everything."""
    status, text = ours.scrape(one.target, seconds=8, auth="lab")
    return status == 200 and parse(text).series[SUCCESS] == 1


def test_a_reboot_of_the_device_costs_no_scrape(tmp_path: Path) -> None:
    """After a restart with higher engine boots the very next scrape works: the engine time is synchronised again."""
    one = lab_agent(tmp_path)
    with exporter(tmp_path, "auths:\n" + auth("lab", "noc", "SHA256", "AES")) as ours:
        for boots in range(1, 4):
            with one.running():
                assert complete(ours, one) and complete(ours, one)
            assert f"engineBoots {boots}" in (tmp_path / "state" / "snmpd.conf").read_text()


def test_a_replaced_device_is_found_again(tmp_path: Path) -> None:
    """The same address with another engine ID: no scrape is lost."""
    one = lab_agent(tmp_path)
    with exporter(tmp_path, "auths:\n" + auth("lab", "noc", "SHA256", "AES")) as ours:
        with one.running():
            assert complete(ours, one)
        (tmp_path / "state" / "snmpd.conf").unlink()
        with one.running():
            assert complete(ours, one)
        status, text = ours.scrape(one.target, seconds=2, auth="lab")
        assert status == 500 and "has no agent on that port" in text
