"""The mail service: what the plan makes of sites, and the tool by which its users are kept.

If these fail, a department has no mailbox, or somebody logs in who should not.
"""

from __future__ import annotations

import importlib.machinery
import json
import os
import socketserver
import subprocess
import sys
import threading
import time
import types
from pathlib import Path
from typing import Any

import pytest

from egovctl.paths import Inventory, project_root
from egovctl.plan import load
from egovctl.plan.policy import Place, policy_of
from egovctl.render import render_city
from egovctl.render.mail import mail_of

LAB = Inventory(project_root() / "inventories/lab")
TOOL = project_root() / "playbooks/roles/mail/files/egov-mail"
PASSWORD = "a long enough one"


def test_each_site_with_people_has_a_domain_an_office_and_its_aliases() -> None:
    plan, _ = load(LAB)
    mail = mail_of(plan)
    assert "education.lab.wuwei.example" in mail.domains and "core.lab.wuwei.example" not in mail.domains
    assert dict(mail.aliases)["education@lab.wuwei.example"] == "office@education.lab.wuwei.example"
    assert "duty@noc.lab.wuwei.example" in mail.mailboxes, "whoever is told of alerts has a mailbox"
    assert not {alias for alias, _ in mail.aliases} & set(mail.mailboxes)
    assert {box.partition("@")[2] for box in mail.mailboxes} <= set(mail.domains)
    assert len(mail.mailboxes) == len(set(mail.mailboxes))


def test_only_the_host_of_the_service_gets_it_and_who_may_reach_it() -> None:
    rendered = render_city(LAB)
    with_it = {name for name, host in rendered.hosts.items() if "/etc/egov/postfix/main.cf" in host.files}
    assert with_it == {"shared-services"}
    policy, city = policy_of(rendered.city), rendered.city
    to = Place("host", "shared-services")
    assert policy.permits(city, Place("lan", "education"), to, "tcp", 587)
    assert policy.permits(city, Place("lan", "education"), to, "tcp", 993)
    assert not policy.permits(city, Place("lan", "education"), to, "tcp", 25), "users log in to send"
    relays = {name for name in city.hosts if policy.permits(city, Place("host", name), to, "tcp", 25)}
    assert relays == {"noc", "backup"}
    main = rendered.hosts["shared-services"].files["/etc/egov/postfix/main.cf"].decode()
    networks = next(line for line in main.splitlines() if line.startswith("mynetworks"))
    addresses = {f"{city.hosts[name].address_v4}/32" for name in relays}
    assert set(networks.partition("= ")[2].split(", ")) == addresses | {"127.0.0.1/32"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "domains").write_text("# -\nx.example -\n")
    (tmp_path / "mailboxes").write_text("# -\n")
    for name in ("home", "keys"):
        (tmp_path / name).mkdir()
    (tmp_path / "planned").mkdir()
    (tmp_path / "planned/domains").write_text("# -\nx.example -\n")
    (tmp_path / "planned/mailboxes").write_text("office@x.example -\n")
    # No user dovecot here, and no service to reload.
    (tmp_path / "home/users").write_text("")
    (tmp_path / "home/mailboxes").write_text("")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/systemctl").write_text(f"#!/bin/sh\necho $* >> {tmp_path}/called\n")
    (tmp_path / "bin/systemctl").chmod(0o755)
    return tmp_path


def tool(home: Path, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """The tool as a person who is not root, so that it changes no file's owner."""
    told = {"EGOV_MAIL_HOME": f"{home}/home", "EGOV_MAIL_PLANNED": f"{home}/planned", "EGOV_MAIL_KEYS": f"{home}/keys"}
    run = "import os, runpy, sys; os.geteuid = lambda: 1000; sys.argv = sys.argv[1:]; "
    run += "runpy.run_path(sys.argv[0], run_name='__main__')"
    return subprocess.run(
        [sys.executable, "-c", run, str(TOOL), *arguments],
        input=given,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **told, "PATH": f"{home}/bin:{os.environ['PATH']}"},
    )


def test_a_user_is_added_given_a_password_and_removed(home: Path) -> None:
    assert tool(home, "add", "Li.Na@x.example").returncode == 0
    assert (home / "home/mailboxes").read_text() == "li.na@x.example -\n"
    assert "egov-postfix" in (home / "called").read_text()
    assert tool(home, "password", "li.na@x.example", given=PASSWORD + "\n").returncode == 0
    line = (home / "home/users").read_text()
    assert line.startswith("li.na@x.example:{SHA512-CRYPT}$6$") and PASSWORD not in line
    assert tool(home, "list").stdout == "li.na@x.example added login\noffice@x.example planned no login\n"
    assert tool(home, "remove", "li.na@x.example").returncode == 0
    assert (home / "home/users").read_text() == (home / "home/mailboxes").read_text() == ""


@pytest.mark.parametrize(
    ("arguments", "given", "said"),
    [
        (("add", "li@elsewhere.example"), "", "not one of the plan"),
        (("add", "no address"), "", "is no address"),
        (("add", "a:b@x.example"), "", "is no address"),
        (("password", "nobody@x.example"), PASSWORD, "has no mailbox"),
        (("password", "office@x.example"), "short\n", "at least 12"),
    ],
)
def test_what_would_be_wrong_is_refused_in_one_sentence(
    home: Path, arguments: tuple[str, ...], given: str, said: str
) -> None:
    done = tool(home, *arguments, given=given)
    assert done.returncode == 3 and said in done.stderr and done.stderr.count("\n") == 1
    assert (home / "home/users").read_text() == (home / "home/mailboxes").read_text() == ""


def test_without_a_command_it_says_how_it_is_used(home: Path) -> None:
    done = tool(home)
    assert done.returncode == 2 and "usage: egov-mail" in done.stderr


def test_the_key_is_made_once_and_is_the_hosts_own(home: Path) -> None:
    assert tool(home, "init", "mail.x.example").returncode == 0
    key = (home / "keys/mail.key").read_text()
    assert "PRIVATE KEY" in key and (home / "keys/mail.key").stat().st_mode & 0o077 == 0
    assert tool(home, "init", "mail.x.example").returncode == 0 and (home / "keys/mail.key").read_text() == key


# The probe: whether mail would be taken, delivered and read.


class Station(socketserver.StreamRequestHandler):
    """Enough of SMTP and LMTP for a recipient to be asked for; a letter itself would be an error."""

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        for line in self.rfile:
            word = line.split()[0].upper()
            assert word != b"DATA"
            refused = word == b"RCPT" and b"office@x.example" not in line
            self.wfile.write(b"550 unknown\r\n" if refused else b"250 good\r\n")
            if word == b"QUIT":
                return


@pytest.fixture
def probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The probe as a module, with a queue of its own; Postfix and Dovecot are answered for."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader = importlib.machinery.SourceFileLoader("egov_mail_probe", str(TOOL.with_name("egov-mail-probe")))
    module: Any = types.ModuleType("egov_mail_probe")
    loader.exec_module(module)
    (tmp_path / "queue.json").write_text("")
    monkeypatch.setattr(module, "QUEUE", ["cat", str(tmp_path / "queue.json")])
    monkeypatch.setattr(module, "LMTP", str(tmp_path / "lmtp"))
    with (
        socketserver.ThreadingTCPServer(("127.0.0.1", 0), Station) as postfix,
        socketserver.ThreadingUnixStreamServer(str(tmp_path / "lmtp"), Station) as dovecot,
    ):
        real, port = module.smtplib.SMTP, postfix.server_address[1]
        monkeypatch.setattr(module, "postfix", lambda _, mailbox: module.takes(real("127.0.0.1", port), mailbox))
        for server in (postfix, dovecot):
            threading.Thread(target=server.serve_forever, daemon=True).start()
        yield module
        postfix.shutdown(), dovecot.shutdown()


def said(module: Any, folder: Path, mailbox: str = "office@x.example") -> dict[str, float]:
    assert module.main(["127.0.0.1", mailbox, str(folder)]) == 0
    lines = (folder / "egov_mail.prom").read_text().splitlines()
    return {line.split()[0]: float(line.split()[1]) for line in lines if not line.startswith("#")}


def test_each_station_is_asked_whether_it_takes_a_letter_for_a_mailbox(probe: Any, tmp_path: Path) -> None:
    found = said(probe, tmp_path)
    assert found["egov_mail_postfix_up"] == found["egov_mail_dovecot_up"] == 1
    assert found["egov_mail_imap_up"] == 0, "nothing listens there"
    assert found["egov_mail_queue_messages"] == found["egov_mail_oldest_waiting_seconds"] == 0
    found = said(probe, tmp_path, "nobody@x.example")
    assert found["egov_mail_postfix_up"] == found["egov_mail_dovecot_up"] == 0
    (tmp_path / "lmtp").unlink()
    found = said(probe, tmp_path)
    assert (found["egov_mail_postfix_up"], found["egov_mail_dovecot_up"]) == (1, 0)


def test_what_waits_is_counted_and_a_queue_that_cannot_be_read_is_not_empty(probe: Any, tmp_path: Path) -> None:
    letters = [{"queue_name": "deferred", "arrival_time": int(time.time()) - age} for age in (60, 2000)]
    (tmp_path / "queue.json").write_text("".join(json.dumps(letter) + "\n" for letter in letters))
    found = said(probe, tmp_path)
    assert found["egov_mail_queue_messages"] == 2 and 1990 < found["egov_mail_oldest_waiting_seconds"] < 2100
    (tmp_path / "queue.json").unlink()
    assert not {"egov_mail_queue_messages", "egov_mail_oldest_waiting_seconds"} & set(said(probe, tmp_path))
    assert probe.main([]) == 2 and probe.main(["127.0.0.1", "x", str(tmp_path / "nowhere")]) == 3
