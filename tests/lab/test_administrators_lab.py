"""Three separated administrators on a real control: sshd, PAM, sudo and the trail as they are in production.

If a login test fails, control is open to a stolen key or a code that was looked over somebody's shoulder. If a row of
the table fails, one person can do alone what takes two (or the table in docs/administrators.md is not true).
What the suite itself does as egov is tested elsewhere: here two small programs stand in for ansible-playbook and
egovctl, and say as whom and with which words they were called.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from conftest import CityLab

RUN, OTP = "/usr/local/lib/egov/egov-run", "/usr/local/lib/egov/egov-otp"
EGOV = f"sudo -n -u egov {RUN}"
ROLES = {"system1": "system", "security1": "security", "audit1": "audit"}
FRESH = ("-o", "ControlPath=none")  # a login of its own, not over the connection that is kept
CANARY = "canary-5e1f"
STAND_IN = '#!/bin/sh\necho "$(id -un) ran $(basename "$0") $*"\n'
PREPARE = f"""set -e
install -d -o egov -g egov -m 0700 /srv/egov /srv/egov/.venv /srv/egov/.venv/bin
for dir in secrets evidence; do install -d -o egov -g egov -m 0700 /srv/egov/.egov/NAME/$dir; done
echo '{{"record": "{CANARY}-evidence"}}' >/srv/egov/.egov/NAME/evidence/control.jsonl
cat >/srv/egov/.venv/bin/ansible-playbook <<'END'
{STAND_IN}END
chmod 0755 /srv/egov/.venv/bin/ansible-playbook
cp /srv/egov/.venv/bin/ansible-playbook /srv/egov/.venv/bin/egovctl
chown -R egov:egov /srv/egov
faillock --user system1 --reset || true
"""

# What it is, the command, and who may do it: the table of docs/administrators.md, line by line.
SYSTEM, SECURITY, AUDIT, NOBODY = {"system"}, {"security"}, {"audit"}, set[str]()
TABLE = [
    ("compare the plan with the city", f"{EGOV} system check", SYSTEM),
    ("apply all but the security policy", f"{EGOV} system apply --limit core1,core2", SYSTEM),
    ("render the plan", f"{EGOV} system render", SYSTEM),
    ("assess the city", f"{EGOV} system assess as-planned", SYSTEM),
    ("run a drill", f"{EGOV} system drill restore-files", SYSTEM),
    ("run a service's drill as its timer does", f"{EGOV} system drill restore-state suite-state", SYSTEM),
    ("see how drills ended", f"{EGOV} system drills", SYSTEM),
    ("see how drills ended, as auditor", f"{EGOV} audit drills", AUDIT),
    ("compare the security policy", f"{EGOV} security check", SECURITY),
    ("apply the security policy", f"{EGOV} security apply --limit core1", SECURITY),
    ("apply accounts", f"{EGOV} security accounts", SECURITY),
    ("list names of secrets", f"{EGOV} security secrets", SECURITY),
    ("set a secret", f"echo {CANARY}-secret | {EGOV} security secret snmp_auth", SECURITY),
    ("see who has a second factor", f"sudo -n {OTP} list", SECURITY),
    ("reset a second factor", f"sudo -n {OTP} reset nobody1 2>&1 | grep 'has no second factor'", SECURITY),
    ("verify the evidence", f"{EGOV} audit verify", AUDIT),
    ("read the evidence", f"{EGOV} audit records | grep {CANARY}-evidence", AUDIT),
    ("read the journal", "journalctl -q -n 5 -t sudo | grep egov-run", AUDIT),
    ("read the sudo trail", "cat $(find /var/log/sudo-io -name log.json) | grep egov-run", AUDIT),
    ("list sudo sessions", "/usr/bin/sudoreplay -d /var/log/sudo-io -l | grep egov-run", AUDIT),
    ("a root shell", "sudo -n -s id", NOBODY),
    ("a root login", "sudo -n -i id", NOBODY),
    ("any command as root", "sudo -n /bin/sh -c id", NOBODY),
    ("a shell as egov", "sudo -n -u egov /bin/sh -c id", NOBODY),
    ("su", "echo | su -c id", NOBODY),
    ("an option of one's own", f"{EGOV} system apply -e ansible_become=false", NOBODY),
    ("a file as a limit", f"{EGOV} system apply --limit @/etc/shadow", NOBODY),
    ("policy by another tag", f"{EGOV} system apply --tags nftables", NOBODY),
    ("a secret outside its folder", f"echo x | {EGOV} security secret ../../../.ssh/authorized_keys", NOBODY),
    ("a secret that is read back", f"{EGOV} security secret snmp_auth </dev/null", NOBODY),
    ("a secret's file", "cat /srv/egov/.egov/*/secrets/* /srv/egov/.egov/*/control/*", NOBODY),
    ("one-time secrets", "cat /var/lib/egov-otp/users.oath", NOBODY),
    ("a code into a pipe", f"sudo -n {OTP} invite audit1 | cat; exit ${{PIPESTATUS[0]}}", NOBODY),
    ("emptying the trail", "rm -rf /var/log/sudo-io/*/*", NOBODY),
    ("writing into the trail", "echo x >>$(find /var/log/sudo-io -name log.json | head -n 1)", NOBODY),
    ("cutting the journal", "journalctl --rotate --vacuum-time=1s 2>&1 | grep -q Deleted", NOBODY),
    ("stopping the journal", "systemctl --no-ask-password stop systemd-journald.service", NOBODY),
    ("the firewall", "nft flush ruleset", NOBODY),
    ("sudo's rules", "echo >>/etc/sudoers.d/egov-administrators", NOBODY),
    ("a key of one's own", "echo >>/etc/egov/administrators.d/$(id -un)", NOBODY),
    ("the accounts", "useradd intruder", NOBODY),
]


@dataclass
class Control:
    """The control of a lab that is up, and how its administrators come in."""

    lab: CityLab
    folder: Path
    secrets: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.lab.inventory.name

    def root(self, command: str, check: bool = True) -> str:
        return self.lab.on("control", command, check=check).stdout

    def ssh(
        self, person: str, command: str = "true", *options: str, code: str = "", key: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Log in at control's own address with the person's key (or `key`); `code` is typed at the prompt, once."""
        ask = self.folder / "ask"
        ask.write_text('#!/bin/sh\necho "$EGOV_CODE"\n', encoding="utf-8")
        ask.chmod(0o755)
        given = {
            "IdentitiesOnly": "yes",
            "IdentityFile": str(self.folder / (key or person)),
            "UserKnownHostsFile": str(self.folder / "known_hosts"),
            "StrictHostKeyChecking": "yes",
            "NumberOfPasswordPrompts": "1",
            "ControlPath": str(self.folder / f"{person}.socket"),
            "LogLevel": "ERROR",
        }
        words = [word for name, value in given.items() for word in ("-o", f"{name}={value}")]
        inside = ["nsenter", f"--net=/run/netns/egov-{self.name}-control", "--"]
        argv = [*inside, "ssh", "-F", "none", *options, *words, f"{person}@10.64.2.10", "--", command]
        environment = {**os.environ, "SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force", "EGOV_CODE": code}
        return subprocess.run(
            argv, capture_output=True, text=True, timeout=120, check=False, env=environment, stdin=subprocess.DEVNULL
        )

    def totp(self, person: str, later: int = 0) -> str:
        """The person's code now, or `later` seconds from now, by an implementation that is not ours."""
        at = time.strftime("@%s", time.localtime(time.time() + later))
        return self.root(f"oathtool --totp -N {at} -b {self.secrets[person]}").strip()

    def open(self, person: str, code: str) -> subprocess.CompletedProcess[str]:
        """A connection that is kept, for many commands with one code."""
        return self.ssh(person, "true", "-o", "ControlMaster=auto", "-o", "ControlPersist=3600", code=code)

    def close(self, person: str) -> None:
        self.ssh(person, "true", "-O", "exit")

    def apply(self, *options: str, check: bool = True) -> str:
        done = self.lab.playbook("playbooks/control.yml", *options, check=check)
        return done.stdout + done.stderr

    def plan(self, people: dict[str, str]) -> None:
        """Write plan/people.yml with these people and their keys."""
        entries = [
            {
                "name": name,
                "role": role,
                "title": {"zh": "测试人员", "en": "A person of the test"},
                "ssh_keys": [(self.folder / f"{name}.pub").read_text(encoding="utf-8").strip()],
            }
            for name, role in people.items()
        ]
        text = yaml.safe_dump({"schema": 1, "administrators": entries}, allow_unicode=True)
        (self.lab.inventory.plan_dir / "people.yml").write_text(text, encoding="utf-8")

    def enrol(self, person: str, invitation: str) -> None:
        """Log in once by invitation and make the TOTP secret, as a person does."""
        code = re.search(r"the code (\d{8})", invitation)
        assert code, invitation
        assert self.open(person, code[1]).returncode == 0, "an invitation opens one login"
        shown = self.ssh(person, f"sudo -n {OTP} enrol", "-tt")
        secret = re.search(r"otpauth://totp/\S+[?]secret=([A-Z2-7]{32})&", shown.stdout)
        assert secret, shown.stdout + shown.stderr
        self.secrets[person] = secret[1]
        self.close(person)


@pytest.fixture(scope="module")
def control(city_lab: CityLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Control]:
    """Control applied with people whose keys are the test's own, each of them enrolled; put back at the end."""
    found = Control(city_lab, tmp_path_factory.mktemp("c"))
    plan = city_lab.inventory.plan_dir / "people.yml"
    before = plan.read_text(encoding="utf-8")
    for name in (*ROLES, "system2"):
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(found.folder / name)]
        subprocess.run(argv, check=True)
    try:
        found.plan(ROLES)
        found.apply()
        found.root(PREPARE.replace("NAME", found.name))
        key = found.root("cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub")
        (found.folder / "known_hosts").write_text(f"10.64.2.10 {key}", encoding="utf-8")
        # The first one is invited at the console, the others by the security administrator.
        found.root("rm -f /var/lib/egov-otp/*; faillock --user security1 --reset")
        found.enrol("security1", found.root(f"script -qec '{OTP} invite security1' /dev/null"))
        assert found.open("security1", found.totp("security1")).returncode == 0
        for name in ("system1", "audit1"):
            found.enrol(name, found.ssh("security1", f"sudo -n {OTP} invite {name}", "-tt").stdout)
        for name in ("system1", "audit1"):
            assert found.open(name, found.totp(name)).returncode == 0
        yield found
    finally:
        for name in ROLES:
            found.close(name)
        plan.write_text(before, encoding="utf-8")
        found.apply(check=False)


@pytest.fixture(scope="module")
def tried(control: Control) -> dict[str, dict[int, tuple[int, str]]]:
    """What each role met at each row of the table: exit code and words. The system administrator leaves the trail."""
    said = "echo $? $(echo \"$said\" | tail -c 200 | tr '\\n' ' ')"
    script = "".join(f"said=$(bash -c {shlex.quote(row[1])} 2>&1 </dev/null); {said}\n" for row in TABLE)
    result = {}
    for name, role in ROLES.items():
        lines = control.ssh(name, script).stdout.splitlines()
        assert len(lines) == len(TABLE), lines
        result[role] = {i: (int(line.split()[0]), line) for i, line in enumerate(lines)}
    return result


@pytest.mark.parametrize("row", range(len(TABLE)), ids=[row[0] for row in TABLE])
def test_each_may_do_what_the_table_says_and_nothing_of_the_others(
    tried: dict[str, dict[int, tuple[int, str]]], row: int
) -> None:
    could = {role for role, rows in tried.items() if rows[row][0] == 0}
    assert could == TABLE[row][2], {role: rows[row][1] for role, rows in tried.items()}


def test_what_runs_as_egov_has_only_our_words(control: Control) -> None:
    said = control.ssh("system1", f"{EGOV} system apply --limit core1,core2").stdout
    skipped = "--skip-tags base,nftables,wireguard --limit core1,core2"
    assert said == f"egov ran ansible-playbook -i inventories/{control.name} playbooks/site.yml {skipped}\n"
    said = control.ssh("security1", f"{EGOV} security accounts").stdout
    assert said == f"egov ran ansible-playbook -i inventories/{control.name} playbooks/control.yml\n"


def test_a_key_alone_or_a_code_alone_is_refused(control: Control) -> None:
    alone = (*FRESH, "-o", "PreferredAuthentications=publickey")
    done = control.ssh("audit1", "id", *alone)
    assert (done.returncode, done.stdout) == (255, "")
    assert "Permission denied (keyboard-interactive)" in done.stderr, "the key was right, and not enough"
    code = (*FRESH, "-o", "PubkeyAuthentication=no")
    assert control.ssh("audit1", "id", *code, code=control.totp("audit1", 30)).returncode == 255


def test_a_wrong_code_is_refused_and_a_right_one_counts_once(control: Control) -> None:
    right = control.totp("audit1", 30)
    wrong = str((int(right) + 1) % 1_000_000).zfill(6)
    assert control.ssh("audit1", "id", *FRESH, code=wrong).returncode == 255
    assert control.ssh("audit1", "id -un", *FRESH, code=right).stdout == "audit1\n"
    assert control.ssh("audit1", "id", *FRESH, code=right).returncode == 255, "a code that was used opened the door"
    assert control.root("faillock --user audit1 | grep -c 10.64.2.10") == "1\n", "the replay was not counted"


def test_another_persons_key_root_and_egov_are_refused(control: Control) -> None:
    for person, key in (("audit1", "system1"), ("root", "security1"), ("egov", "security1"), ("system1", "system2")):
        done = control.ssh(person, "id", *FRESH, code="000000", key=key)
        assert done.returncode == 255 and done.stdout == "", (person, key)
        assert "Permission denied (publickey)" in done.stderr, "it was not the key that was refused"


def test_too_many_wrong_codes_lock_the_account_for_a_while(control: Control) -> None:
    right = control.totp("system1", 30)
    wrong = str((int(right) + 1) % 1_000_000).zfill(6)
    for _ in range(5):
        assert control.ssh("system1", "id", *FRESH, code=wrong).returncode == 255
    assert control.ssh("system1", "id", *FRESH, code=right).returncode == 255, "a locked account let somebody in"
    control.root("faillock --user system1 --reset")
    assert control.ssh("system1", "id -un", *FRESH, code=control.totp("system1", 30)).stdout == "system1\n"


def test_no_secret_is_in_the_trail(control: Control) -> None:
    """If one is, whoever reads the trail can log in as somebody else, or into a device."""
    assert control.ssh("security1", f"echo {CANARY}-secret | {EGOV} security secret snmp_auth").returncode == 0
    assert control.root(f"cat /srv/egov/.egov/{control.name}/secrets/snmp_auth") == f"{CANARY}-secret\n"
    for word in (f"{CANARY}-secret", *control.secrets.values()):
        found = control.root(
            f"zgrep -rlaF {word} /var/log/sudo-io; journalctl -q --no-pager | grep -cF {word}", check=False
        )
        assert found == "0\n", word
    assert "invite audit1" in control.root("journalctl -q -t egov-otp")


def test_there_is_no_way_through_control_into_the_network(control: Control) -> None:
    done = control.ssh("system1", "true", "-W", "10.64.2.10:22")
    assert done.returncode != 0 and "SSH-2.0" not in done.stdout


def test_applied_again_nothing_changes_and_drift_of_a_group_is_put_right(control: Control) -> None:
    assert "changed=0" in control.apply()
    control.root("usermod -aG egov-security,sudo system1")
    assert "groups of system1" in control.apply("--check", "-v")
    assert "egov-security" in control.root("id -Gn system1"), "a check changed something"
    assert "changed=1" in control.apply()
    assert control.root("id -Gn system1") == "system1 egov-system\n"


def test_an_sshd_that_nobody_can_reach_is_put_back(control: Control) -> None:
    """If this fails, a slip in a template ends with people at the console of the machine room."""
    path = control.lab.project / "playbooks/roles/administrators/templates/sshd.conf.j2"
    before = path.read_text(encoding="utf-8")
    path.write_text(before.replace("PermitTunnel no", "PermitTunnel no\nListenAddress 127.0.0.1"), encoding="utf-8")
    try:
        said = control.apply("-e", "transaction_confirm_seconds=8", check=False)
    finally:
        path.write_text(before, encoding="utf-8")
    assert "failed=1" in said and "rolled_back: true" in said, said[-2000:]
    assert "ListenAddress" not in control.root("cat /etc/ssh/sshd_config.d/50-egov.conf")
    assert control.root("ssh-keyscan -T 5 -t ed25519 10.64.2.10 2>/dev/null").startswith("10.64.2.10 ssh-ed25519 ")
    assert "changed=0" in control.apply()


def test_who_leaves_is_out_at_once(control: Control) -> None:
    assert control.ssh("system1", "id -un").stdout == "system1\n"
    people = {("system2" if name == "system1" else name): role for name, role in ROLES.items()}
    control.plan(people)
    control.apply()
    assert control.ssh("system1", "id -un", "-O", "check").returncode != 0, "the open session lives on"
    assert control.ssh("system1", "id", *FRESH, code="000000").returncode == 255
    assert control.root("id -Gn system1") == "system1\n"
    assert "system1" not in control.root("cat /var/lib/egov-otp/users.oath")
    control.plan(ROLES)
    control.apply()
    assert control.root("id -Gn system1") == "system1 egov-system\n"
    assert shlex.split(control.root("chage -l system1 | grep 'Account expires'"))[-1] == "never"
