"""What control knows before it talks to a host: keys, placeholders, the manifest, the probe's two halves."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from apply_helpers import FakeHost

from egovctl.apply import enrolment, placeholders, prepare, probe, usm
from egovctl.apply.manifest import Manifest
from egovctl.apply.on_host import BASE, SEARCH_PATH, keyed_digest, sysctl_path
from egovctl.apply.transaction import Answer, Request, apply_host
from egovctl.errors import CannotMeasure, UsageError
from egovctl.paths import Inventory

ENGINE = bytes.fromhex("000000000000000000000002")


# RFC 3414, A.3.1 and A.3.2
@pytest.mark.parametrize(
    ("algorithm", "master", "localised"),
    [
        ("md5", "9faf3283884e92834ebc9847d8edd963", "526f5eed9fcce26f8964c2930787d82b"),
        ("sha1", "9fb5cc0381497b3793528939ff788d5d79145211", "6695febc9288e36282235fc7151f128497b38f3f"),
    ],
)
def test_localised_keys_are_those_of_rfc_3414(algorithm: str, master: str, localised: str) -> None:
    assert usm.master_key("maplesyrup", algorithm).hex() == master
    assert usm.localised_key("maplesyrup", ENGINE, algorithm).hex() == localised


def test_sha256_keys_are_those_of_an_independent_engine() -> None:
    """RFC 7860 gives no key vectors: pysnmp is the oracle."""
    from pyasn1.type.univ import OctetString
    from pysnmp.proto.secmod.rfc3414 import localkey

    for password in ("maplesyrup", "eight888", "a much longer password, with blanks"):
        master = localkey.hash_passphrase(password.encode(), hashlib.sha256)
        expected = bytes(localkey.localize_key(master, OctetString(ENGINE), hashlib.sha256))
        assert usm.authentication_key(password, ENGINE) == expected
        assert usm.privacy_key_aes128(password, ENGINE) == expected[:16]
    with pytest.raises(ValueError, match="8 octets"):
        usm.master_key("short")


def test_placeholders_are_found_and_resolved() -> None:
    text = b"a @secret:one@ b @secret:two:usm-sha256:8000@ @secret:two:usm-aes128:8000@ @secret:one@"
    found = placeholders.find(text)
    assert found == ["@secret:one@", "@secret:two:usm-sha256:8000@", "@secret:two:usm-aes128:8000@"]
    values = placeholders.resolve(found, {"one": "v1", "two": "password2"}.__getitem__)
    assert values["@secret:one@"] == "v1"
    assert values[found[1]] == "0x" + usm.authentication_key("password2", b"\x80\x00").hex()
    assert len(values[found[2]]) == 2 + 32
    with pytest.raises(UsageError, match="not known"):
        placeholders.resolve(["@secret:one:md4:80@"], lambda name: "x")


def write_build(build: Path, **changes: Any) -> Path:
    """A build of one host with one file of each kind."""
    rootfs = build / "h1/rootfs"
    texts = {"/etc/plain": "plain\n", "/etc/hidden": "key @secret:one@\n"}
    files = []
    for path, text in texts.items():
        place = rootfs / path[1:]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        entry = {"path": path, "mode": "0644", "owner": "root", "group": "root", "bundle": "base"}
        entry.update(sha256=hashlib.sha256(text.encode()).hexdigest(), secrets=["one"] if "secret" in text else [])
        entry["actions"] = ["restart:a.service"] if path == "/etc/plain" else []
        files.append(entry)
    manifest: dict[str, Any] = {
        "protocol": 1,
        "host": "h1",
        "inventory": "lab",
        "plan_revision": "r1",
        "packages": {"base": ["bash", "no-such-package"]},
        "users": {"base": ["u root - - - -", 'u egov-nobody - "Nobody" /nowhere /bin/sh', "g egov-none"]},
        "folders": [{"path": "/srv/f", "mode": "0755", "owner": "root", "group": "root", "bundle": "base"}],
        "files": files,
        "absent": [{"path": "/etc/gone", "bundle": "base"}],
        "units": [{"name": "a.service", "enabled": True, "active": True, "bundle": "base"}],
        "sysctl": {"base": {"net.x": "1 2"}},
        "order": ["restart:a.service"],
    }
    manifest.update(changes)
    (build / "h1/manifest.json").write_text(json.dumps(manifest))
    return build


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"protocol": 2}, "protocol 2"),
        ({"order": []}, "has no place in order"),
        ({"absent": [{"path": "/etc/../root", "bundle": "b"}]}, "not a plain absolute path"),
        ({"absent": [{"path": "/etc/plain", "bundle": "b"}]}, "named twice"),
        ({"absent": [{"path": "/etc/a b", "bundle": "b"}]}, "not a plain absolute path"),
        ({"units": [{"name": "a b", "bundle": "b"}]}, "not a unit"),
        ({"sysctl": {"base": {"net..x/../y": "1"}}}, "not a sysctl"),
        ({"folders": [{"path": "/srv"}]}, "TypeError"),
    ],
)
def test_a_bad_manifest_is_one_sentence(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        Manifest.load(write_build(tmp_path, **changes), "h1")
    assert "h1/manifest.json" in str(caught.value) and "render" in str(caught.value)


def test_an_edited_or_missing_build_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing is rendered"):
        Manifest.load(tmp_path, "h1")
    manifest = Manifest.load(write_build(tmp_path), "h1")
    (tmp_path / "h1/rootfs/etc/plain").write_text("edited\n")
    with pytest.raises(UsageError, match="edited after rendering"):
        manifest.content(manifest.files[0])


def test_only_takes_a_bundle(tmp_path: Path) -> None:
    manifest = Manifest.load(write_build(tmp_path), "h1")
    assert manifest.only(["base"]).files == manifest.files
    assert manifest.only(["other"]).files == ()
    assert manifest.only(["other"]).order == manifest.order


def test_sysctl_names_are_sysctl_ds() -> None:
    assert sysctl_path("net.ipv4.ip_forward") == "/proc/sys/net/ipv4/ip_forward"
    assert sysctl_path("net/ipv4/conf/eth0.1/rp_filter") == "/proc/sys/net/ipv4/conf/eth0.1/rp_filter"
    assert sysctl_path("net.ipv4.conf.eth0/1.rp_filter") == "/proc/sys/net/ipv4/conf/eth0.1/rp_filter"


class Wire:
    """A shell onto a fake host: known places in what goes over it are moved under the host's root and back."""

    def __init__(self, host: FakeHost) -> None:
        self.host = host
        self.sent: list[bytes] = []

    def __call__(self, command: str, data: bytes) -> Answer:
        self.sent.append(data)
        root = str(self.host.root)
        if command == "/bin/sh -s":
            text = data.decode().replace(SEARCH_PATH, self.host.test["path"])
            for place in ("/etc/", "/srv/", "/proc/sys/", BASE):
                text = text.replace(f" {place}", f" {root}{place}")
            data = text.encode()
        done = subprocess.run(["/bin/sh", "-c", command], input=data, capture_output=True, check=False)
        return Answer(done.returncode, done.stdout.decode().replace(root, ""), done.stderr.decode())


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    host = FakeHost.make(tmp_path / "h")
    host.unit("a.service")
    host.sysctl("net.x", "0\t0")
    return host


def request(host: FakeHost, build: Path, **options: Any) -> Request:
    return Request(build, "h1", {"one": "Canary-one"}.__getitem__, test=host.test, **options)


def test_one_round_trip_when_nothing_differs(host: FakeHost, tmp_path: Path) -> None:
    build = write_build(tmp_path / "build")
    wire = Wire(host)
    told = apply_host(request(host, build, check=True, diff=True), wire)
    assert host.text("/etc/plain") is None
    done = apply_host(request(host, build, diff=True), wire)
    differing = ("changed", "files", "folders", "units", "sysctls", "removed", "actions", "diff")
    assert {key: told[key] for key in differing} == {key: done[key] for key in differing}
    assert done["files"] == ["/etc/plain", "/etc/hidden"] and done["sysctls"] == ["net.x"]
    assert host.text("/etc/hidden") == "key Canary-one\n"
    wire.sent.clear()
    again = apply_host(request(host, build), wire)
    assert again["changed"] is False and len(wire.sent) == 1
    assert b"Canary" not in wire.sent[0]
    assert again["t_probe"] < 1


def test_only_what_differs_goes_over_the_wire(host: FakeHost, tmp_path: Path) -> None:
    build = write_build(tmp_path / "build")
    wire = Wire(host)
    apply_host(request(host, build), wire)
    host.put("/etc/hidden", "key another\n")
    host.sysctl("net.x", "5 5")
    host.unit("a.service", "masked", "inactive")
    result = apply_host(request(host, build), wire)
    assert (result["files"], result["sysctls"], result["units"]) == (["/etc/hidden"], ["net.x"], ["a.service"])
    assert host.unit_state("a.service") == ("enabled", "active")
    assert "Canary" not in json.dumps(result)


def test_a_file_that_changes_under_our_eyes_is_sent_in_a_second_round(host: FakeHost, tmp_path: Path) -> None:
    build = write_build(tmp_path / "build")
    wire = Wire(host)
    apply_host(request(host, build), wire)
    host.put("/etc/plain", "first\n")

    def meddling(command: str, data: bytes) -> Answer:
        answer = wire(command, data)
        if command == "/bin/sh -s" and len(wire.sent) == 1:
            host.put("/etc/hidden", "second\n")
        return answer

    wire.sent.clear()
    result = apply_host(request(host, build), meddling)
    assert result["files"] == ["/etc/plain", "/etc/hidden"]
    assert host.text("/etc/hidden") == "key Canary-one\n"


def test_the_keyed_digest_of_sh_is_that_of_python(host: FakeHost, tmp_path: Path) -> None:
    manifest = Manifest.load(write_build(tmp_path / "build"), "h1")
    host.put("/etc/hidden", "x\0y\n")
    nonce = probe.new_nonce()
    answer = Wire(host)("/bin/sh -s", probe.command(manifest, nonce).encode())
    seen = probe.parse("h1", answer.stdout, manifest)
    assert seen.digests["/etc/hidden"] == keyed_digest(nonce, b"x\0y\n")
    assert seen.units == {"a.service": ("disabled", "inactive")}
    assert seen.sysctls[sysctl_path("net.x")].split() == ["0", "0"]


def test_no_answer_is_one_sentence(tmp_path: Path) -> None:
    manifest = Manifest.load(write_build(tmp_path), "h1")
    with pytest.raises(CannotMeasure, match=r"h1: the probe was not answered .sudo: a password is required"):
        probe.parse("h1", "sudo: a password is required\n", manifest)


def test_a_connection_to_another_host_is_refused(host: FakeHost, tmp_path: Path) -> None:
    host.put("/etc/ssh/ssh_host_ed25519_key.pub", f"{KEY} root@other\n")
    build = write_build(tmp_path / "build")
    wire = Wire(host)
    with pytest.raises(CannotMeasure, match="another host key"):
        apply_host(request(host, build, host_key=KEY.replace("A", "B")), wire)
    assert len(wire.sent) == 1
    assert apply_host(request(host, build, host_key=KEY), wire)["changed"]


def test_a_missing_secret_stops_before_anything_is_sent(host: FakeHost, tmp_path: Path) -> None:
    def missing(name: str) -> str:
        raise CannotMeasure(f"secret {name} is missing")

    wire = Wire(host)
    with pytest.raises(CannotMeasure, match="secret one is missing"):
        apply_host(Request(write_build(tmp_path / "build"), "h1", missing, test=host.test), wire)
    assert wire.sent == []


def test_prepare_names_what_is_missing(tmp_path: Path) -> None:
    wanted = prepare.wanted(write_build(tmp_path), "h1", None)
    done = subprocess.run(["/bin/sh", "-s"], input=prepare.command(wanted), capture_output=True, text=True, check=False)
    missing = prepare.missing("h1", wanted, done.stdout)
    assert missing.packages == ("no-such-package",)
    assert missing.users == ("egov-nobody", "egov-none")
    assert prepare.make_users(missing.lines).startswith("systemd-sysusers --inline 'u egov-nobody")
    with pytest.raises(CannotMeasure, match="not answered"):
        prepare.missing("h1", wanted, "")


KEY = "ssh-ed25519 " + "A" * 68


def test_an_enrolment_record_is_stable(tmp_path: Path) -> None:
    inventory = Inventory(tmp_path / "city")
    answer = f"{enrolment.FIRST}\nchanged  user borg_key\nssh_host_ed25519 {KEY} root@h\nborg_ed25519 {KEY} borg@h\n"
    keys, changed = enrolment.parse("h1", answer + enrolment.LAST)
    assert (keys, changed) == ({"ssh_host_ed25519": KEY, "borg_ed25519": KEY}, ["user", "borg_key"])
    assert enrolment.write_record(inventory, "h1", keys)
    assert not enrolment.write_record(inventory, "h1", dict(reversed(keys.items())))
    text = (inventory.enrolled_dir / "h1.yml").read_text()
    assert text.splitlines()[2:] == [f"borg_ed25519: {KEY}", "host: h1", f"ssh_host_ed25519: {KEY}"]
    assert enrolment.read_record(inventory, "h1")["borg_ed25519"] == KEY
    with pytest.raises(CannotMeasure, match="sudo is missing there"):
        enrolment.parse("h1", "error: sudo is missing there\n")


def test_keys_for_logs_come_back_as_what_they_are_or_not_at_all() -> None:
    fingerprint = ":".join(["0A"] * 32)
    head, tail = f"{enrolment.FIRST}\nssh_host_ed25519 {KEY}\n", f"\n{enrolment.LAST}"
    keys, _ = enrolment.parse("noc", f"{head}syslog_sha256 {fingerprint}\nlog_seal_ed25519 {KEY} egov-logs@noc{tail}")
    assert (keys["syslog_sha256"], keys["log_seal_ed25519"]) == (fingerprint, KEY)
    for wrong in ("", "0A:0B", fingerprint.lower(), f"{fingerprint}:0A"):
        with pytest.raises(CannotMeasure, match="not the SHA-256 fingerprint of a certificate"):
            enrolment.parse("noc", f"{head}syslog_sha256 {wrong}{tail}")


def test_a_record_from_before_lacks_what_its_host_must_have_now() -> None:
    before = {"host": "noc", "ssh_host_ed25519": KEY, "borg_ed25519": KEY}
    assert enrolment.lacking(before, tunnels=False, seals=False) == ["syslog_sha256"]
    assert enrolment.lacking(before, tunnels=True, seals=True) == ["syslog_sha256", "wireguard", "log_seal_ed25519"]
    now = {**before, "syslog_sha256": "A", "log_seal_ed25519": KEY}
    assert enrolment.lacking(now, tunnels=False, seals=True) == []
    assert "SEALS=yes\n" in enrolment.script("", "k", check=False, seals=True)
    assert "SEALS=''\n" in enrolment.script("", "k", check=False)


def test_keys_that_only_some_groups_need_are_asked_for_by_name() -> None:
    wanted = enrolment.keys_of_groups(["managed", "postgresql", "backup_clients"])
    assert wanted == ["wal_ed25519"] and enrolment.keys_of_groups(["managed"]) == []
    record = dict.fromkeys(enrolment.ALWAYS, KEY)
    assert enrolment.lacking(record, tunnels=False, seals=False, more=wanted) == wanted
    assert "MORE_KEYS=wal_ed25519\n" in enrolment.script("", "k", check=False, more=wanted)
    head, tail = f"{enrolment.FIRST}\nssh_host_ed25519 {KEY}\n", f"\n{enrolment.LAST}"
    assert enrolment.parse("db", f"{head}wal_ed25519 {KEY} wal@db{tail}")[0]["wal_ed25519"] == KEY
    with pytest.raises(CannotMeasure, match="wal_ed25519: not an Ed25519 public key"):
        enrolment.parse("db", f"{head}wal_ed25519 {tail}")
