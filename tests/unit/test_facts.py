"""The facts of hosts: what the program fetches, how its answers are read, and that hostile answers do no harm."""

from __future__ import annotations

import json
import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import facts_cases as cases
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egovctl.checks.collect import facts as collector
from egovctl.checks.collect import onhost_facts
from egovctl.checks.context import open_context
from egovctl.checks.facts import READERS, decode, logins, system
from egovctl.checks.facts.answers import Answers
from egovctl.checks.facts.answers import settings as key_values
from egovctl.errors import CannotMeasure
from egovctl.i18n import both
from egovctl.paths import Inventory
from egovctl.transport import HostSilent, with_params

LAB = Path(__file__).resolve().parents[2] / "inventories" / "lab"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def plain(value: Any) -> bool:
    """Whether the judge can be given it: text, numbers, truth values, lists and maps by name."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(plain(item) for item in value)
    return isinstance(value, str | bool | int | float)


@pytest.mark.parametrize("group", sorted(READERS))
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_lies_in_the_types_are_no_facts(group: str, data: st.DataObject) -> None:
    """Any JSON in place of the answers, or of one of them, is refused or gives plain facts; nothing else happens."""
    answers: Any = cases.answers_of(group)
    name = data.draw(st.sampled_from(sorted(answers)))
    lie = data.draw(JSON)
    if data.draw(st.booleans()):
        answers = lie
    elif data.draw(st.booleans()):
        answers[name] = lie
    elif isinstance(answers[name], dict) and "out" in answers[name]:
        answers[name][data.draw(st.sampled_from(["code", "out", "err", "cut"]))] = lie
    try:
        assert plain(decode("h", group, answers, cases.AT))
    except CannotMeasure as error:
        assert str(error).startswith("h: ")


@pytest.mark.parametrize("group", sorted(set(READERS) - {"modes"}))
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_hostile_text_gives_facts_or_none_and_in_time(group: str, data: st.DataObject) -> None:
    answers = cases.answers_of(group)
    name = data.draw(st.sampled_from(sorted(key for key, value in answers.items() if isinstance(value, dict))))
    junk = data.draw(st.text(max_size=200) | st.text(st.sampled_from("ALL=(): \t\n\\\"'%,#0"), max_size=400))
    good = answers[name]["out"]
    place = data.draw(st.integers(0, len(good)))
    answers[name] = cases.said(good[:place] + junk + (good[place:] if data.draw(st.booleans()) else ""))
    began = time.process_time()
    with suppress(CannotMeasure):
        assert plain(decode("h", group, answers, cases.AT))
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize(
    ("reader", "name", "text"),
    [
        (logins.sudo, "/etc/sudoers", "a" * 200_000 + " =" + "(" * 200_000),
        (logins.sudo, "/etc/sudoers", "a ALL=" + "X: " * 100_000 + "\n"),
        (logins.session, "/etc/profile", "export " * 100_000),
        (system.logs, "/etc/rsyslog.conf", "target = " * 100_000 + '"' * 100_000),
        (system.journal, "journald", "MaxRetentionSec=" + "1 " * 100_000 + "!"),
        (system.journal, "journald", "MaxRetentionSec=" + "9" * 400_000),
    ],
)
def test_long_lines_are_read_in_little_time(reader: Any, name: str, text: str) -> None:
    group = reader.__name__
    answers = cases.answers_of(group) | {name: cases.said(text)}
    began = time.process_time()
    with suppress(ValueError):
        reader(Answers(answers, cases.AT))
    assert time.process_time() - began < 2.0


def test_a_cut_answer_and_a_failed_command_are_no_answers() -> None:
    for spoil in ({"cut": True}, {"code": 124, "err": "sshd gave no answer in time"}):
        answers = cases.answers_of("sshd")
        answers["sshd"] |= spoil
        with pytest.raises(CannotMeasure, match="h: its answer about sshd"):
            decode("h", "sshd", answers, cases.AT)
    with pytest.raises(CannotMeasure, match="no group of facts weather"):
        decode("h", "weather", {}, cases.AT)


def unshowable(value: Any) -> bool:
    if isinstance(value, dict):
        return any(unshowable(key) or unshowable(item) for key, item in value.items())
    if isinstance(value, list):
        return any(map(unshowable, value))
    return isinstance(value, str) and any(mark in value for mark in ("\x1b", "\r", "\x9b", "\u202e"))


def test_nothing_that_a_terminal_would_obey_is_in_the_facts() -> None:
    evil = "\x1b[2Jo\u202ek\x9b1m"
    answers = cases.answers_of("accounts")
    answers["/etc/passwd"]["out"] += f"{evil}:x:1:1::/:/bin/sh\n"
    facts = decode("h", "accounts", answers, cases.AT)
    assert not unshowable(facts) and any("[2Jo" in name for name in facts["accounts"]["without_shadow"])
    files = {**cases.STATS["files"], f"/etc/sudoers.d/{evil}": [0o100000, 0o666, 0, 0]}
    stats = {"files": files, "writable": [evil], "setuid": [evil], "jobs": [evil]}
    assert not unshowable(decode("h", "modes", cases.answers_of("modes") | {"stats": stats}, cases.AT))
    failed = {"sshd": {"code": 1, "out": "", "err": f"bad\n{evil}" * 50}}
    with pytest.raises(CannotMeasure) as caught:
        decode("h", "sshd", failed, cases.AT)
    assert not unshowable(str(caught.value)) and len(str(caught.value)) < 250


def test_an_empty_answer_is_never_a_good_host() -> None:
    """What measured nothing must not be green: no line at all is no answer of these programs."""
    for group, name in (("sshd", "sshd"), ("accounts", "/etc/passwd"), ("units", "active"), ("packages", "installed")):
        answers = cases.answers_of(group)
        answers[name]["out"] = ""
        with pytest.raises(CannotMeasure):
            decode("h", group, answers, cases.AT)
    with pytest.raises(CannotMeasure):
        decode("h", "modes", cases.answers_of("modes") | {"stats": {**cases.STATS, "files": {}}}, cases.AT)
    found = system.firewall(Answers(cases.answers_of("firewall") | {"chains": cases.said('{"nftables": []}')}))
    assert found["input"] == found["forward"] == []
    assert not found["input_denies"] and not found["forward_denies"] and found["stateful"]


@pytest.mark.parametrize(
    ("text", "days"), [("200day", 200), ("6month", 182.625), ("1y 2weeks", 379.25), ("0", 0), ("4w", 28), ("36h", 1.5)]
)
def test_time_spans_of_systemd(text: str, days: float) -> None:
    answers = cases.answers_of("journal") | {"journald": cases.said(f"[Journal]\nMaxRetentionSec={text}\n")}
    assert system.journal(Answers(answers))["retention_days"] == pytest.approx(days)


def test_settings_of_both_kinds_and_the_last_one_counts() -> None:
    text = "# no\nPASS_MAX_DAYS\t99999\nPASS_MAX_DAYS 90 # yes\nminlen = 12\nStorage=persistent\nbare\n"
    assert key_values(text) == {"PASS_MAX_DAYS": "90", "minlen": "12", "Storage": "persistent", "bare": ""}


def test_rules_of_sudo_that_give_less_than_everything_are_not_everything() -> None:
    def everything(rule: str) -> list[str]:
        answers = cases.answers_of("sudo") | {"/etc/sudoers.d/x": cases.said(rule + "\n")}
        return [name for name in logins.sudo(Answers(answers))["all"] if name not in ("root", "egov-deploy")]

    assert everything("eve ALL=(root) /usr/bin/borg") == []
    assert everything("Cmnd_Alias X = ALL") == [] and everything("# eve ALL=ALL") == []
    assert everything("eve ALL=(ALL:ALL) NOPASSWD: ALL") == ["eve"] and everything("eve core1 = ALL") == ["eve"]


def run_program(groups: list[str], tmp_path: Path) -> dict[str, Any]:
    """As on a host: sent on standard input to a Python that is alone."""
    text = with_params(collector.program(), {"groups": groups, "seconds": 5})
    done = subprocess.run(
        ["/usr/bin/python3", "-I", "-"], input=text, capture_output=True, check=True, cwd=tmp_path, timeout=60
    )
    return dict(json.loads(done.stdout))


def test_the_program_runs_alone_and_its_answer_is_a_look(tmp_path: Path) -> None:
    groups = ["accounts", "modes", "sysctls", "system", "passwords", "session"]
    answer = run_program(groups, tmp_path)
    look = collector.as_look("h", groups, answer)
    evidence = look.evidence()
    assert set(evidence["groups"]) == set(groups) and 0 <= evidence["cpu_seconds"] < 30
    assert "/etc/os-release" in evidence["groups"]["system"]["asked"]
    assert (
        decode("h", "system", look.groups["system"]["answers"], look.groups["system"]["at"])["system"]["up_hours"] > 0
    )
    assert list(tmp_path.iterdir()) == []


def test_no_hash_of_a_password_leaves_the_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = "$y$j9T$abcdefgh$ijklmnopqrstuvwxyz0123456789"
    lines = [f"a:{secret}:1:0:9:7:::", "b::1:0:9:7:::", "c:!{}:1:0:9:7:::".format("$6$zz$yy"), "d:*:1::::::", "e:x"]
    shadow = tmp_path / "shadow"
    shadow.write_text("\n".join([*lines, "f:abcdefghijklm:1:::::5:", "g:plain:1:::::7:"]) + "\n")
    read = onhost_facts.read
    monkeypatch.setattr(onhost_facts, "read", lambda path: read(str(shadow)))
    told = onhost_facts.shadow()["out"].splitlines()
    assert [line.split(":")[1] for line in told if ":" in line] == [
        "hash y",
        "empty",
        "locked",
        "locked",
        "hash des",
        "other",
    ]
    assert not any(part in "\n".join(told) for part in ("abcdefgh", "zz", "plain")) and told[4] == "?"


def test_what_anybody_may_change_and_whose_rights_it_takes_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    top = tmp_path / "bin"
    (top / "inner").mkdir(parents=True)
    (top / "inner").chmod(0o1777)
    for name, mode in (("plain", 0o755), ("open", 0o757), ("su", 0o4755), ("inner/own", 0o755)):
        (top / name).write_text("x")
        (top / name).chmod(mode)
    (top / "link").symlink_to("open")
    monkeypatch.setattr(onhost_facts, "WALKED", [str(top)])
    monkeypatch.setattr(onhost_facts, "STATS", [])
    monkeypatch.setattr(onhost_facts, "CRONTABS", [str(tmp_path / "cron*")])
    monkeypatch.setattr(onhost_facts, "UNITS", str(tmp_path / "*.service"))
    (tmp_path / "cron1").write_text(f"# m h\nPATH=/bin\n0 * * * * root {top}/open -x\n0 * * * * bob {top}/su\n@daily\n")
    (tmp_path / "a.service").write_text(f"[Service]\nExecStart=-+{top}/plain y\nExecStop={top}/inner/own\nExecStart=\n")
    told = onhost_facts.stats()
    assert told["writable"] == [f"{top}/open"] and told["setuid"] == [f"{top}/su"]
    assert onhost_facts.jobs() == {f"{top}/open", f"{top}/plain", f"{top}/inner/own"}
    # What lies in a sticky folder of everybody's counts, there or not: whoever comes first may put it there.
    tmp_path.chmod(0o755)
    above = [path for path in (tmp_path, *tmp_path.parents) if path.stat().st_mode & 0o002]
    assert above or told["jobs"] == [f"{top}/inner/own", f"{top}/open"]
    assert onhost_facts.changeable(f"{top}/inner/none") and onhost_facts.changeable("/var/tmp/none")
    assert not onhost_facts.changeable("/usr/sbin/none")
    top.chmod(0o777)
    assert f"{top}" in onhost_facts.stats()["writable"]


def test_of_files_with_secrets_only_the_lines_that_are_asked_for_leave(tmp_path: Path) -> None:
    path = tmp_path / "sources"
    path.write_text(
        "# deb old\ndeb http://user:secret@mirror.example/debian x main\nother secret\n  deb file:///x ./\n"
    )
    answer = onhost_facts.lines_of(str(path), r"\s*deb")
    assert answer["out"] == "deb http://mirror.example/debian x main\n  deb file:///x ./\n" and answer["code"] == 0
    assert onhost_facts.lines_of(str(tmp_path / "none"), "x")["code"] == 127
    path.write_text("PrivateKey = abc\nPublicKey = def\n")
    pattern = onhost_facts.LINES["interfaces"]["/etc/wireguard/*.conf"]
    assert onhost_facts.lines_of(str(path), pattern)["out"] == "PublicKey = def\n"
    path.write_text("host all all 10.0.0.0/8 ldap ldapbindpasswd=trust1\nhost all all ::/0 trust\n")
    pattern = onhost_facts.LINES["databases"]["/etc/postgresql/*/*/pg_hba.conf"]
    assert onhost_facts.lines_of(str(path), pattern)["out"] == "host all all ::/0 trust\n"


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert onhost_facts.read(str(pipe))["code"] == 1
    assert onhost_facts.read(str(tmp_path))["code"] == 1
    assert onhost_facts.read(str(tmp_path / "none"))["code"] == 127
    big = tmp_path / "big"
    big.write_bytes(b"x" * (onhost_facts.MOST + 5))
    answer = onhost_facts.read(str(big))
    assert answer["cut"] and len(answer["out"]) == onhost_facts.MOST


def test_commands_that_hang_or_are_not_there_or_say_too_much(tmp_path: Path) -> None:
    assert onhost_facts.ask(["sleep", "5"], 0.2)["code"] == 124
    assert onhost_facts.ask(["no-such-program"], 1)["code"] == 127
    assert onhost_facts.ask(["head", "-c", str(onhost_facts.MOST + 1), "/dev/zero"], 5)["cut"]


def good_answer(**changes: Any) -> dict[str, Any]:
    group = {"at": time.time(), "answers": cases.answers_of("journal")}
    return {"protocol": 1, "at": time.time(), "cpu": 0.5, "groups": {"journal": group}} | changes


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        "x",
        {},
        good_answer(protocol=2),
        good_answer(groups={}),
        good_answer(groups=[1]),
        good_answer(cpu="much"),
        good_answer(cpu=-1),
        good_answer(groups={"journal": {"at": time.time() + 4000, "answers": {}}}),
        good_answer(groups={"journal": {"at": True, "answers": {}}}),
        good_answer(groups={"journal": {"at": time.time(), "answers": {"n": 2**60}}}),
        good_answer(groups={"journal": {"at": float("nan"), "answers": {}}}),
    ],
)
def test_what_the_program_would_never_say_cannot_be_evidence(answer: Any) -> None:
    """Evidence from the future too: a host whose clock is off cannot be dated."""
    with pytest.raises(CannotMeasure, match="h: the collecting program's answer is no use"):
        collector.as_look("h", ["journal"], answer)


def test_a_clock_that_is_off_is_said_in_both_languages() -> None:
    group = {"at": time.time() - 2 * collector.CLOCK_SECONDS, "answers": {}}
    answer = {"protocol": onhost_facts.PROTOCOL, "groups": {"journal": group}, "cpu": 0.1}
    with pytest.raises(CannotMeasure) as caught:
        collector.as_look("h", ["journal"], answer)
    said = both(caught.value)
    assert "clock is more than" in said["en"] and "主机时钟相差超过" in said["zh"] and "clock" not in said["zh"]


def test_one_host_is_asked_once_and_a_silent_one_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    from egovctl.checks.collect.base import Request
    from egovctl.checks.model import Collect

    context = open_context(Inventory(LAB))
    asked: list[tuple[str, list[str]]] = []

    def run(inventory: Any, host: str, program: str, params: Any, **_: Any) -> Any:
        asked.append((host, params["groups"]))
        if host == "noc":
            raise HostSilent("noc", "timed out")
        groups = {name: {"at": time.time(), "answers": cases.answers_of(name)} for name in params["groups"]}
        if host == "core2":
            groups["sshd"]["answers"] = {}
        return {"protocol": 1, "at": time.time(), "cpu": 1, "groups": groups}

    monkeypatch.setattr(collector.transport, "run_python", run)
    hosts = ("core1", "core2", "noc")
    requests = [Request("a", hosts, Collect(by="facts", sections=("sshd",)))]
    requests.append(Request("b", hosts, Collect(by="facts", sections=("journal", "sudo"))))
    first, second = collector.collect(context, requests)
    assert sorted(asked) == [(host, ["journal", "sshd", "sudo"]) for host in hosts]
    assert first["core1"]["seen"]["sshd"]["max_tries"] == 3  # type: ignore[index]
    assert isinstance(first["core2"], CannotMeasure) and isinstance(second["core2"], dict)
    assert isinstance(first["noc"], HostSilent) and isinstance(second["noc"], HostSilent)
    assert set(context.looks) == {"core1", "core2"}


def test_the_queries_only_read() -> None:
    """Each command is one that prints; a new one must be looked at before it goes in here."""
    first_words = {tuple(argv[:2]) for group in onhost_facts.COMMANDS.values() for argv in group.values()}
    assert first_words == {
        ("sshd", "-T"),
        ("ss", "-H"),
        ("ip", "-j"),
        ("nft", "-j"),
        ("nft", "-s"),
        ("systemctl", "list-unit-files"),
        ("systemctl", "list-units"),
        ("dpkg-query", "-W"),
        ("apt-get", "-s"),
        ("apt-config", "shell"),
        ("wg", "show"),
        ("systemd-analyze", "cat-config"),
        ("auditctl", "-s"),
        ("auditctl", "-l"),
    }
    source = Path(onhost_facts.__file__).read_text(encoding="utf-8")
    assert "O_WRONLY" not in source and "O_RDWR" not in source and ".write" not in source
