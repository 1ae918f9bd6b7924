"""Rendering: complete, deterministic, without secrets, and all or nothing."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from egovctl.commands.main import main
from egovctl.errors import UsageError
from egovctl.keys import PLACEHOLDER
from egovctl.paths import Inventory, project_root
from egovctl.render import render_city, secret_names, write_build
from egovctl.render.bundle import load_bundles

CITIES = ("lab", "wuwei")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own with copies of what rendering reads."""
    source = project_root()
    for name in ("ansible.cfg", "playbooks", "inventories", "dashboards", "exporters"):
        target = tmp_path / name
        if (source / name).is_dir():
            shutil.copytree(source / name, target, ignore=shutil.ignore_patterns("enrolled", "__pycache__"))
        else:
            shutil.copy(source / name, target)
    (tmp_path / "cli").symlink_to(source / "cli")
    monkeypatch.setenv("EGOV_PROJECT", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("city", CITIES)
def test_every_managed_host_gets_its_bundles(project: Path, city: str) -> None:
    rendered = render_city(Inventory.find(city))
    managed = {host.name for host in rendered.city.hosts.values() if "managed" in host.groups}
    assert set(rendered.hosts) == managed | {"control"}
    for name, host in rendered.hosts.items():
        if name == "control":
            continue
        entries = {entry["path"]: entry for entry in host.manifest["files"]}
        assert set(entries) == set(host.files), name
        assert {"base", "nftables", "snmpd", "node_exporter"} <= set(host.manifest["packages"]), name
        assert set(host.manifest["order"]) == {a for entry in entries.values() for a in entry["actions"]}


def test_rendering_twice_changes_nothing(project: Path) -> None:
    inventory = Inventory.find("lab")
    first = write_build(render_city(inventory))
    assert first.changed_hosts
    before = {path: path.stat().st_mtime_ns for path in inventory.build.rglob("*")}
    assert write_build(render_city(inventory)).changed_hosts == ()
    assert {path: path.stat().st_mtime_ns for path in inventory.build.rglob("*")} == before


def test_a_host_that_left_the_plan_loses_its_folder(project: Path) -> None:
    inventory = Inventory.find("lab")
    write_build(render_city(inventory))
    (inventory.build / "gone").mkdir()
    write_build(render_city(inventory))
    assert not (inventory.build / "gone").exists()


def test_secrets_are_placeholders_only(project: Path) -> None:
    inventory = Inventory.find("lab")
    names = secret_names(inventory)
    assert {"snmp_auth", "snmp_priv", "snmp_switch_community", "borg_passphrase_core1"} <= set(names)
    inventory.secrets.mkdir(parents=True)
    for name in names:
        (inventory.secrets / name).write_text(f"CANARY-{name}\n")
        (inventory.secrets / name).chmod(0o600)
    write_build(render_city(inventory))
    for path in inventory.build.rglob("*"):
        assert not path.is_file() or b"CANARY" not in path.read_bytes(), path


def test_a_broken_template_names_file_and_line_and_writes_nothing(project: Path) -> None:
    inventory = Inventory.find("lab")
    write_build(render_city(inventory))
    before = {path: path.stat().st_mtime_ns for path in inventory.build.rglob("*")}
    template = project / "playbooks/roles/frr/templates/frr.conf.j2"
    template.write_text(template.read_text().replace("{{ host.name }}", "{{ host.nmae }}"))
    with pytest.raises(UsageError, match=r"frr\.conf\.j2:\d+: .*nmae.*nothing was rendered"):
        render_city(inventory)
    assert {path: path.stat().st_mtime_ns for path in inventory.build.rglob("*")} == before


def test_a_typo_in_a_bundle_is_refused(project: Path) -> None:
    path = project / "playbooks/roles/frr/bundle.yml"
    path.write_text(path.read_text().replace("order:", "ordre:", 1))
    with pytest.raises(UsageError, match=r"bundle\.yml"):
        load_bundles(project / "playbooks" / "roles")


def test_a_forged_public_key_is_refused(project: Path) -> None:
    """A key with a line end could add a line of its own to an authorized_keys file."""
    inventory = Inventory.find("lab")
    inventory.enrolled_dir.mkdir(exist_ok=True)
    key = "ssh-ed25519 " + "A" * 68 + "\\nssh-ed25519 B"
    (inventory.enrolled_dir / "core1.yml").write_text(f'host: core1\nborg_ed25519: "{key}"\n')
    with pytest.raises(UsageError, match=r"core1\.yml: borg_ed25519"):
        render_city(inventory)


def enrol(inventory: Inventory, host: str, key: str) -> None:
    inventory.enrolled_dir.mkdir(exist_ok=True)
    text = f"host: {host}\n{key}: ssh-ed25519 {host.ljust(68, 'A')}\n"
    (inventory.enrolled_dir / f"{host}.yml").write_text(text)


@pytest.mark.parametrize("record", [None, "borg_restore_ed25519"])
def test_without_controls_key_nothing_is_rendered_for_enrolled_hosts(project: Path, record: str | None) -> None:
    """If this fails, the next apply empties every host's authorized_keys and nobody can log in any more."""
    inventory = Inventory.find("lab")
    render_city(inventory)
    enrol(inventory, "core1", "ssh_host_ed25519")
    if record is not None:
        enrol(inventory, "control", record)
    with pytest.raises(UsageError, match=r"control\.yml has no deploy_ed25519 although core1 is enrolled"):
        render_city(inventory)
    enrol(inventory, "control", "deploy_ed25519")
    keys = render_city(inventory).hosts["core2"].files["/home/egov-deploy/.ssh/authorized_keys"]
    assert keys.startswith(b"ssh-ed25519 control")


def test_backup_client_may_only_reach_its_own_repository(project: Path) -> None:
    inventory = Inventory.find("lab")
    plan = inventory.plan_dir / "city.yml"
    plan.write_text(plan.read_text().replace("routers: [core1, core2],", "routers: [core1, core2], backup_gb: 250,"))
    enrol(inventory, "control", "deploy_ed25519")
    for host in ("core1", "core2"):
        enrol(inventory, host, "borg_ed25519")
    text = render_city(inventory).hosts["backup"].files["/srv/borg/.ssh/authorized_keys"].decode()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert [line.split()[-1] for line in lines] == ["core1", "core2"]
    for line in lines:
        assert line.startswith("restrict,command=")
        name = line.split()[-1]
        quota = {"core1": "250G", "core2": "250G"}[name]
        assert f'--append-only --storage-quota {quota} --restrict-to-repository /srv/borg/{name}"' in line


def enrol_for_logs(inventory: Inventory, *hosts: str) -> dict[str, str]:
    """Records with a fingerprint for logs, a different one for each host."""
    prints = {}
    for number, host in enumerate(hosts, start=1):
        enrol(inventory, host, "ssh_host_ed25519")
        prints[host] = ":".join([f"{number:02X}"] * 32)
        path = inventory.enrolled_dir / f"{host}.yml"
        path.write_text(path.read_text() + f'syslog_sha256: "{prints[host]}"\n')
    enrol(inventory, "control", "deploy_ed25519")
    return prints


def permitted(text: str) -> list[str]:
    (listed,) = re.findall(r"permittedPeer=\[([^]]*)\]", text)
    return re.findall(r'"SHA256:([0-9A-F:]+)"', listed)


def test_the_noc_takes_logs_from_exactly_the_enrolled_hosts_and_each_host_pins_the_noc(project: Path) -> None:
    """One fingerprint too many, and somebody can write lines into the city's logs."""
    inventory = Inventory.find("lab")
    prints = enrol_for_logs(inventory, "core1", "noc", "education", "gone")
    hosts = render_city(inventory).hosts
    server = hosts["noc"].files["/etc/rsyslog.d/egov-server.conf"].decode()
    assert sorted(permitted(server)) == sorted(prints[name] for name in ("core1", "noc", "education"))
    city = render_city(inventory).city
    table = json.loads(hosts["noc"].files["/etc/egov/log-senders.json"])
    assert {entry["index"]: entry["value"] for entry in table["table"]} == {
        city.hosts[name].address_v4: name for name in ("core1", "noc", "education")
    }
    assert table["nomatch"] == "_unknown" and 'tls.authMode="fingerprint"' in server
    for name in ("core1", "noc", "education"):
        client = hosts[name].files["/etc/rsyslog.conf"].decode()
        assert permitted(client) == [prints["noc"]] and f'target="{city.hosts["noc"].address_v4}"' in client
        assert 'tls.authMode="fingerprint"' in client and client.count("imjournal") and "imuxsock" not in client


@pytest.mark.parametrize("known", [(), ("core1",), ("noc",)])
def test_a_host_without_a_key_for_logs_reads_and_sends_nothing_and_the_noc_asks_nobody_in(
    project: Path, known: tuple[str, ...]
) -> None:
    """An empty list of permitted peers must never be rendered: who is permitted then is up to the program."""
    inventory = Inventory.find("lab")
    enrol_for_logs(inventory, *known)
    hosts = render_city(inventory).hosts
    for name in ("core1", "core2"):
        assert b"omrelp" not in hosts[name].files["/etc/rsyslog.conf"], name
        assert b"imjournal" not in hosts[name].files["/etc/rsyslog.conf"], name
    server = hosts["noc"].files["/etc/rsyslog.d/egov-server.conf"]
    assert (b"imrelp" in server) == ("noc" in known)
    for text in (server, *(host.files.get("/etc/rsyslog.conf", b"") for host in hosts.values())):
        assert b"permittedPeer" not in text or permitted(text.decode())


def test_seals_are_verified_with_the_key_that_the_noc_made_and_kept_six_months(project: Path) -> None:
    inventory = Inventory.find("lab")
    enrol(inventory, "noc", "log_seal_ed25519")
    enrol(inventory, "control", "deploy_ed25519")
    files = render_city(inventory).hosts["noc"].files
    assert (
        files["/etc/egov/log_signers"]
        .decode()
        .splitlines()[-1]
        .startswith('egov-logs@noc namespaces="egov-logs" ssh-ed25519 noc')
    )
    settings = json.loads(files["/etc/egov/seal-logs.json"])
    assert settings["keep_days"] == 180 and settings["when_full"] == "report"


@pytest.mark.parametrize("wrong", ["AA:BB", "aa" + ":aa" * 31, "AA" + ":AA" * 31 + '"]\n# ', ":".join(["GG"] * 32)])
def test_a_forged_fingerprint_is_refused(project: Path, wrong: str) -> None:
    inventory = Inventory.find("lab")
    enrol(inventory, "core1", "ssh_host_ed25519")
    path = inventory.enrolled_dir / "core1.yml"
    path.write_text(path.read_text() + f"syslog_sha256: {json.dumps(wrong)}\n")
    with pytest.raises(UsageError, match=r"core1\.yml: syslog_sha256"):
        render_city(inventory)


def test_the_manifest_is_json_that_names_each_secret(project: Path) -> None:
    inventory = Inventory.find("lab")
    write_build(render_city(inventory))
    manifest = json.loads((inventory.build / "noc" / "manifest.json").read_text())
    by_path = {entry["path"]: entry for entry in manifest["files"]}
    assert by_path["/etc/egov/snmp-exporter.yml"]["secrets"] == ["snmp_auth", "snmp_priv", "snmp_switch_community"]
    assert PLACEHOLDER.fullmatch(b"@secret:snmp_auth:usm-sha256:80001f8805aa@")
    for entry in manifest["files"]:
        assert re.fullmatch(r"0[0-7]{3}", entry["mode"])
        assert not entry["secrets"] or int(entry["mode"], 8) & 0o077 == 0, entry["path"]


def test_secrets_can_be_made_and_are_never_replaced(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inventory = Inventory.find("lab")
    for expected in (len(secret_names(inventory)), 0):
        with pytest.raises(SystemExit) as left:
            main(["--lang", "en", "render", "-i", "lab", "--make-secrets"])
        assert left.value.code == 0
        assert f"secrets made: {expected}," in capsys.readouterr().out
    assert {path.stat().st_mode & 0o777 for path in inventory.secrets.iterdir()} == {0o600}


def test_a_jump_host_of_the_first_contact_is_not_used_in_band(project: Path) -> None:
    inventory = Inventory.find("lab")
    inventory.first_contact.write_text("hosts: {}\nproxy: ssh -W %h:%p jump.example\n")
    write_build(render_city(inventory))
    assert "ProxyCommand" not in inventory.ssh_config.read_text()
    inventory.first_contact.write_text("hosts: {}\nin_band_proxy: nsenter true\n")
    write_build(render_city(inventory))
    assert "ProxyCommand nsenter true" in inventory.ssh_config.read_text()
