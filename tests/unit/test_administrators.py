"""The administrators of control: who may be planned, what is rendered of them, and the programs that hold them apart.

If these fail, one person may hold two of the three roles, or a word typed by one of them becomes an option of a
program that runs as another.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from plan_cases import Data, centre, city_of

from egovctl.commands.main import cli
from egovctl.i18n import set_language
from egovctl.paths import Inventory, project_root
from egovctl.plan import City, Plan, PlanError
from egovctl.plan.compare import compare
from egovctl.plan.load import check
from egovctl.plan.public_keys import ED25519, RSA, TOKEN, read_public_key
from egovctl.plan.source import parse_source
from egovctl.render import render_city, write_build

ROLE = project_root() / "playbooks" / "roles" / "administrators"
SYSTEM = {"name": "wang", "role": "system"}
SECURITY = {"name": "li", "role": "security"}
AUDIT = {"name": "zhao", "role": "audit"}


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    set_language("en")
    yield
    set_language(None)


def program(name: str) -> ModuleType:
    """One of the role's programs as a module."""
    loader = SourceFileLoader(name.replace("-", "_"), str(ROLE / "files" / name))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def line(kind: str, *fields: bytes) -> str:
    """A public key of these fields, as ssh-keygen writes it."""
    blob = b"".join(len(field).to_bytes(4, "big") + field for field in (kind.encode(), *fields))
    return f"{kind} {base64.b64encode(blob).decode()}"


def ed25519(seed: int) -> str:
    return line(ED25519, bytes([seed]) * 32)


def rsa(bits: int) -> str:
    return line(RSA, b"\x01\x00\x01", b"\x00" + (1 << (bits - 1)).to_bytes(bits // 8, "big"))


def people(*changed: Data) -> Data:
    """Three administrators, one of each role; each of `changed` changes one, or stands behind them."""
    entries = [
        {**entry, "title": {"zh": "管理员", "en": "Administrator"}, "ssh_keys": [ed25519(i)], **change}
        for i, (entry, change) in enumerate(zip((SYSTEM, SECURITY, AUDIT), (*changed, {}, {}, {}), strict=False))
    ]
    return {"schema": 1, "administrators": entries}


def load(who: Data | None) -> tuple[Plan, City]:
    texts = {"city": json.dumps(city_of(centre([1, 2, 3]))), "services": '{"schema": 1, "services": []}'}
    if who is not None:
        texts["people"] = json.dumps(who)
    return check({name: parse_source(f"{name}.yml", text) for name, text in texts.items()}, "random")


def fault(who: Data) -> str:
    with pytest.raises(PlanError) as caught:
        load(who)
    (only,) = caught.value.faults
    assert only.startswith("people.yml:")
    return only.split(": ", 1)[1]


def test_a_plan_may_be_without_administrators_and_then_has_the_revision_it_had() -> None:
    assert load(None)[0].administrators == ()
    assert [person.name for person in load(people())[0].administrators] == ["wang", "li", "zhao"]
    assert load(None)[0].revision != load(people())[0].revision


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (({}, {}, {"role": "system"}), "there is no audit administrator"),
        (({}, {"role": "audit"}), "there is no security administrator"),
        (({}, {}, {"name": "wang"}), "wang is system and audit administrator; a person has one role"),
        (({"name": "root"},), "account root is the system's own"),
        (({"name": "egov"},), "account egov is the system's own"),
        (({"name": "systemd-network"},), "account systemd-network is the system's own"),
        (({}, {"ssh_keys": [ed25519(0)]}), "this key of li is wang's already"),
        (({"ssh_keys": [ed25519(0), ed25519(0) + " laptop"]},), "this key of wang is wang's already"),
        (({"ssh_keys": []},), "it needs 1 or more"),
        (({"name": "Wang"},), "characters that are not allowed"),
        (({"name": "wang; id"},), "characters that are not allowed"),
        (({"role": "root"},), "one of 'system', 'security' or 'audit'"),
        (({"ssh_keys": [rsa(2048)]},), "this RSA key has 2048 bits; it needs 3072"),
        (({"ssh_keys": ["ssh-dss AAAA"]},), "a key is of type ssh-ed25519"),
        (({"ssh_keys": ['command="id" ' + ed25519(9)]},), "a key is of type ssh-ed25519"),
        (({"ssh_keys": [ed25519(9)[:-8]]},), "no whole ssh-ed25519 public key"),
        (({"ssh_keys": [ed25519(9) + "\n" + ed25519(8)]},), "characters that are not allowed"),
        (({"ssh_keys": ["ssh-rsa " + ed25519(9).split()[1]]},), "no whole ssh-rsa public key"),
    ],
)
def test_each_rule_says_one_sentence(changed: tuple[Data, ...], said: str) -> None:
    assert said in fault(people(*changed))


@pytest.mark.parametrize("key", [ed25519(7), ed25519(7) + " a@b", rsa(3072), line(TOKEN, b"k" * 32, b"ssh:")])
def test_good_keys_are_taken_without_their_comment(key: str) -> None:
    assert read_public_key(key).text == " ".join(key.split()[:2])
    assert load(people({"ssh_keys": [key]}))[0].administrators[0].public_keys == (" ".join(key.split()[:2]),)


@given(st.binary(max_size=80), st.sampled_from([ED25519, RSA, TOKEN]))
def test_no_bytes_that_are_no_key_are_taken(blob: bytes, kind: str) -> None:
    """Random bytes are never a key: the type stands inside it again, and each part has its length."""
    with pytest.raises(ValueError, match=r"no whole|bits"):
        read_public_key(f"{kind} {base64.b64encode(blob).decode()}")


@given(st.integers(0, 60))
def test_a_cut_key_is_no_key(length: int) -> None:
    kind, text = ed25519(5).split()
    cut = base64.b64encode(base64.b64decode(text)[: min(length, 50)]).decode()
    with pytest.raises(ValueError, match="no whole"):
        read_public_key(f"{kind} {cut}")


def test_ssh_keygen_agrees(tmp_path: Path) -> None:
    for kind, bits in (("ed25519", None), ("rsa", "3072")):
        path = tmp_path / kind
        more = ["-b", bits] if bits else []
        subprocess.run(["ssh-keygen", "-q", "-t", kind, *more, "-N", "", "-C", "x", "-f", str(path)], check=True)
        read_public_key(path.with_suffix(".pub").read_text(encoding="utf-8").strip())


def test_plan_diff_names_who_came_and_whose_key_is_another() -> None:
    before, after = load(people()), load(people({}, {"ssh_keys": [ed25519(9)]}, {"name": "qian"}))
    section = compare(before, after)["city"]
    assert list(section.added) == ["administrator qian"] and list(section.removed) == ["administrator zhao"]
    assert [(item.name, item.field) for item in section.changed] == [("administrator li", "ssh_keys")]


# --- what is rendered ------------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("inventories", "playbooks", "cli"):
        (tmp_path / name).symlink_to(project_root() / name)
    (tmp_path / "ansible.cfg").touch()
    monkeypatch.setenv("EGOV_PROJECT", str(tmp_path))
    return tmp_path


def rendered(name: str) -> dict[str, str]:
    host = render_city(Inventory.find(name)).hosts["control"]
    return {path: data.decode() for path, data in host.files.items()}


def test_control_gets_its_administrators_and_nothing_of_the_managed_hosts(project: Path) -> None:
    host = render_city(Inventory.find("wuwei")).hosts["control"]
    assert {entry["bundle"] for entry in host.manifest["files"]} == {"administrators", "rehearsals"}
    assert host.manifest["confirm"] == ["administrators"]
    assert "control" not in render_city(Inventory.find("wuwei-private")).hosts, "no people, no control"


def test_a_person_has_the_keys_of_the_plan_and_only_they_may_log_in(project: Path) -> None:
    files = rendered("wuwei")
    names = ["system1", "system2", "security1", "security2", "audit1"]
    assert f"AllowUsers {' '.join(names)}\n" in files["/etc/ssh/sshd_config.d/50-egov.conf"]
    keys = {path.rpartition("/")[2] for path in files if path.startswith("/etc/egov/administrators.d/")}
    assert keys == set(names)
    assert {
        entry["name"]: entry["role"] for entry in json.loads(files["/etc/egov/administrators.json"])["administrators"]
    } == {name: name[:-1] for name in names}


def test_one_factor_is_enough_for_nobody_but_who_has_tokens_only(project: Path) -> None:
    """security2 of the sample city has a FIDO token, which asks for its PIN: that is two factors."""
    text = rendered("wuwei")["/etc/ssh/sshd_config.d/50-egov.conf"]
    everybody, _, tokens = text.partition("Match User ")
    assert "AuthenticationMethods publickey,keyboard-interactive:pam\n" in everybody
    assert "PubkeyAuthOptions verify-required\n" in everybody
    assert tokens == "security2\n\tAuthenticationMethods publickey\n"
    assert "Match" not in rendered("lab")["/etc/ssh/sshd_config.d/50-egov.conf"]


@pytest.mark.skipif(shutil.which("visudo") is None, reason="visudo is not on this machine; on control it is asked")
def test_visudo_takes_the_rules(project: Path, tmp_path: Path) -> None:
    path = tmp_path / "sudoers"
    path.write_text(rendered("wuwei")["/etc/sudoers.d/egov-administrators"], encoding="utf-8")
    done = subprocess.run(["visudo", "-cqf", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_role_may_run_anything_but_the_two_programs(project: Path) -> None:
    text = rendered("wuwei")["/etc/sudoers.d/egov-administrators"]
    commands = [row.partition(" = ")[2] for row in text.splitlines() if row.startswith("Cmnd_Alias")]
    for command in (item.strip() for row in commands for item in row.split(", /")):
        assert command.lstrip("/").startswith(("usr/local/lib/egov/egov-otp ", "usr/local/lib/egov/egov-run ^"))
    rules = [row for row in text.splitlines() if row.startswith("%")]
    assert len(rules) == 6 and all(" NOPASSWD: EGOV_" in row for row in rules)


def test_the_folder_of_control_keeps_what_ssh_needs(project: Path) -> None:
    """If this fails, the first render after people were planned takes ssh's own configuration away."""
    inventory = Inventory.find("lab")
    assert "control" in write_build(render_city(inventory)).changed_hosts
    assert inventory.ssh_config.is_file() and (inventory.build / "control/manifest.json").is_file()
    before = {path: path.stat().st_mtime_ns for path in inventory.build.rglob("*")}
    assert write_build(render_city(inventory)).changed_hosts == ()
    assert {path: path.stat().st_mtime_ns for path in inventory.build.rglob("*")} == before
    (inventory.build / "control/known_hosts").write_text("old\n", encoding="utf-8")
    assert write_build(render_city(inventory)).changed_hosts == (), "ssh's files are not the host's"
    assert (inventory.build / "control/known_hosts").read_text(encoding="utf-8") != "old\n"


# --- egov-run --------------------------------------------------------------------------------------------------------

PLAN = {"inventory": "city", "project": "/srv/egov", "security_bundles": ["base", "nftables"], "administrators": []}


def test_what_system_applies_and_what_security_applies_never_meet() -> None:
    run = program("egov-run")
    system = run.command_of(PLAN, "system", "apply", [])
    security = run.command_of(PLAN, "security", "apply", ["--limit", "core1"])
    assert system[3:] == ["playbooks/site.yml", "--skip-tags", "base,nftables"]
    assert security[3:] == ["playbooks/site.yml", "--tags", "base,nftables", "--limit", "core1"]
    assert run.command_of(PLAN, "system", "check", [])[-2:] == ["--check", "--diff"]


def test_what_is_run_of_ours_is_a_command_that_there_is(project: Path) -> None:
    """A group without its command, or an option that went away, would be seen by the administrator alone."""
    run, words = program("egov-run"), {"assess": ["as-planned"], "drill": ["restore-files"]}
    ours = [("system", verb) for verb in ("plan", "render", "assess", "drill", "drills")]
    for role, verb in [*ours, ("audit", "verify"), ("audit", "drills")]:
        first, *rest = run.command_of(PLAN, role, verb, words.get(verb, []))
        assert first == "egovctl"
        done = CliRunner().invoke(cli, [*rest[: rest.index("-i")], "--help"])
        assert done.exit_code == 0 and "COMMAND [ARGS]" not in done.output, (verb, done.output)


def test_a_services_drill_is_its_timers_and_another_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = program("egov-run")
    run.UNITS = tmp_path
    (tmp_path / "egov-drill-restore-files-mail.service").touch()
    started: list[list[str]] = []
    ended = subprocess.CompletedProcess[str]([], 0)
    monkeypatch.setattr(run.subprocess, "run", lambda argv, check: started.append(argv) or ended)
    run.start_drill(["restore-files", "mail"])
    assert [argv[-1] for argv in started] == ["egov-drill-restore-files-mail.service"]
    assert "mail.service runs" in capsys.readouterr().out
    for words in (["restore-files", "nothing"], ["../x", "mail"], ["restore-files", "mail --force"]):
        with pytest.raises(run.Refused):
            run.start_drill(words)
    ended.returncode = 1
    with pytest.raises(run.Refused, match="journalctl -u egov-drill-restore-files-mail"):
        run.start_drill(["restore-files", "mail"])
    assert len(started) == 2


@given(
    st.sampled_from(["system", "security", "audit"]), st.text(max_size=12), st.lists(st.text(max_size=12), max_size=3)
)
def test_no_word_becomes_an_option(role: str, verb: str, words: list[str]) -> None:
    run = program("egov-run")
    try:
        command = run.command_of(PLAN, role, verb, words)
    except run.Refused:
        return
    for word in words:
        assert word == "--limit" or not word.startswith(("-", "@", "/")), command


@pytest.mark.parametrize(
    "words", [["-e", "x=y"], ["--limit", "@/x"], ["--limit"], ["--tags", "a"], ["--limit", "a", "b"]]
)
def test_only_a_limit_of_names_is_taken(words: list[str]) -> None:
    run = program("egov-run")
    with pytest.raises(run.Refused, match="--limit"):
        run.command_of(PLAN, "system", "apply", words)


@pytest.mark.parametrize(
    ("role", "verb"), [("system", "accounts"), ("security", "drill"), ("audit", "apply"), ("audit", "assess")]
)
def test_a_verb_of_another_role_is_refused(role: str, verb: str) -> None:
    run = program("egov-run")
    with pytest.raises(run.Refused, match=f"{role} administrators have no {verb}"):
        run.command_of(PLAN, role, verb, [])


def test_a_role_is_who_the_plan_says_and_not_who_says_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = program("egov-run")
    run.PLAN = tmp_path / "administrators.json"
    run.PLAN.write_text(json.dumps({**PLAN, "administrators": [{"name": "wang", "role": "system"}]}), encoding="utf-8")
    monkeypatch.setattr(os, "geteuid", lambda: 994)
    monkeypatch.setenv("SUDO_USER", "wang")
    for role in ("security", "audit"):
        with pytest.raises(run.Refused, match=f"wang may not act as the {role} administrator"):
            run.main([role, "check"])
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(run.Refused, match="may not act"):
        run.main(["system", "check"])


# --- egov-otp --------------------------------------------------------------------------------------------------------


@pytest.fixture
def otp(tmp_path: Path) -> ModuleType:
    """The program with its files in a folder of the test, and a terminal to print to."""
    module: Any = program("egov-otp")
    module.FOLDER = tmp_path / "otp"
    module.USERS, module.LOCK = module.FOLDER / "users.oath", module.FOLDER / "users.oath.lock"
    module.FOLDER.mkdir(mode=0o700)
    module.PLAN = tmp_path / "administrators.json"
    module.PLAN.write_text(json.dumps({**PLAN, "administrators": [{"name": "wang"}, {"name": "li"}]}), encoding="utf-8")
    module.sys = SimpleNamespace(stdout=SimpleNamespace(isatty=lambda: True))
    return module


def test_event_codes_are_those_of_the_standard() -> None:
    """RFC 4226, appendix D."""
    codes = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"]
    assert [program("egov-otp").code(b"12345678901234567890", i, 6) for i in range(10)] == codes


def test_a_person_is_invited_enrols_once_and_is_reset(otp: Any, capsys: pytest.CaptureFixture[str]) -> None:
    otp.invite("wang")
    assert otp.USERS.read_text().startswith("HOTP/E/8\twang\t-\t")
    assert otp.USERS.stat().st_mode & 0o777 == 0o600 and not otp.LOCK.exists()
    secret = bytes.fromhex(otp.USERS.read_text().split()[3])
    assert f"the code {otp.code(secret, 0, 8)}," in capsys.readouterr().out
    otp.enrol("wang")
    kind, _, _, text = otp.USERS.read_text().split()
    assert kind == "HOTP/T30/6" and bytes.fromhex(text) != secret
    assert f"secret={base64.b32encode(bytes.fromhex(text)).decode()}&" in capsys.readouterr().out
    with pytest.raises(otp.Refused, match="have a second factor already"):
        otp.enrol("wang")
    with pytest.raises(otp.Refused, match="reset it first"):
        otp.invite("wang")
    otp.reset("wang")
    assert otp.USERS.read_text() == ""
    with pytest.raises(otp.Refused, match="not planned"):
        otp.invite("intruder")


def test_nothing_is_shown_in_a_pipe_and_nothing_is_made(otp: Any) -> None:
    otp.sys.stdout.isatty = lambda: False
    with pytest.raises(otp.Refused, match="for a terminal only"):
        otp.invite("wang")
    assert not otp.USERS.exists() and not otp.LOCK.exists()


def test_an_old_invitation_and_a_factor_of_who_left_are_withdrawn_and_no_other(otp: Any) -> None:
    otp.invite("wang")
    otp.invite("li")
    otp.enrol("li")
    used = "HOTP/T30/6\tgone\t-\t00\t0\t123456\t2026-01-01T00:00:00L\n"
    otp.USERS.write_text(otp.USERS.read_text() + used, encoding="ascii")
    otp.expire()
    assert [row.split()[1] for row in otp.USERS.read_text().splitlines()] == ["wang", "li"]
    os.utime(otp.invited_at("wang"), (0, 0))
    otp.expire()
    assert [row.split()[1] for row in otp.USERS.read_text().splitlines()] == ["li"]


def test_what_pam_wrote_of_the_last_code_is_kept(otp: Any) -> None:
    """If this fails, a code that was used counts again after somebody else was invited."""
    used = "HOTP/T30/6\tli\t-\t00\t0\t123456\t2026-01-01T00:00:00L\n"
    otp.USERS.write_text(used, encoding="ascii")
    otp.invite("wang")
    assert otp.USERS.read_text().startswith(used)


def test_a_lock_that_a_crash_left_is_broken_and_a_fresh_one_is_not(otp: Any) -> None:
    otp.LOCK_SECONDS = 0.1
    otp.LOCK.touch()
    with pytest.raises(otp.Refused, match="is held"):
        otp.invite("wang")
    os.utime(otp.LOCK, (0, 0))
    otp.invite("wang")
    assert not otp.LOCK.exists()


# --- egov-accounts ---------------------------------------------------------------------------------------------------


def account(name: str, uid: int = 1000) -> SimpleNamespace:
    return SimpleNamespace(pw_name=name, pw_uid=uid, pw_shell="/bin/bash")


def differing(monkeypatch: pytest.MonkeyPatch, groups: dict[str, list[str]], names: list[str]) -> list[str]:
    """What egov-accounts would change on a machine with these groups and accounts, for wang, li and zhao."""
    module: Any = program("egov-accounts")
    all_groups = [SimpleNamespace(gr_name=name, gr_mem=members) for name, members in groups.items()]
    known = {group.gr_name: group for group in all_groups}
    monkeypatch.setattr(module, "grp", SimpleNamespace(getgrall=lambda: all_groups, getgrnam=known.__getitem__))
    accounts = {name: account(name) for name in names}
    monkeypatch.setattr(module, "pwd", SimpleNamespace(getpwnam=accounts.__getitem__))
    monkeypatch.setattr(module, "expired", lambda name: name == "back")
    wanted = [{**person, "title": "A, B: C"} for person in (SYSTEM, SECURITY, AUDIT)]
    return [f"{what}: {' '.join(command)}" for what, command in module.changes(wanted)]


def test_accounts_are_made_put_right_and_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = {"egov-system": ["wang"], "egov-security": ["li"], "egov-audit": ["zhao"], "systemd-journal": ["zhao"]}
    assert differing(monkeypatch, right, ["wang", "li", "zhao"]) == []
    made = differing(monkeypatch, right, ["wang", "li"])
    assert len(made) == 1 and made[0].startswith("account zhao: useradd") and made[0].endswith("--comment A  B  C zhao")
    more = {**right, "sudo": ["wang"]}
    assert differing(monkeypatch, more, ["wang", "li", "zhao"]) == [
        "groups of wang: egov-system: usermod --groups egov-system wang"
    ]
    left = {**right, "egov-security": ["li", "sun"]}
    assert [text.partition(":")[0] for text in differing(monkeypatch, left, ["wang", "li", "zhao", "sun"])] == [
        "sun left",
        "sessions of sun ended",
        "second factor of sun withdrawn",
    ]
