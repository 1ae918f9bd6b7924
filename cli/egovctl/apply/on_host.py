#!/usr/bin/env python3
"""egov-apply: bring this host to the wanted state in one transaction, or leave it as it was.

    egov-apply apply            reads a job (zlib-compressed JSON) on standard input, prints one line of JSON
    egov-apply confirm ID       keeps a change that waits for it; prints one line of JSON
    egov-apply recover [--boot] finishes or undoes a transaction that a crash or a power cut interrupted
    egov-apply recover --unconfirmed ID   undoes that one, unless it has been confirmed

One file, standard library only, Python 3.9 or later: it is sent on standard input with each job, and installed as
/usr/local/lib/egov/egov-apply for the boot-time unit egov-recover.service.
Its sentences stay English: a host has no language.

A transaction: survey (what differs, under the lock) -> stage (private folder, final owner and mode, fsync) -> validate
-> journal (everything that an undo needs, fsync) -> swap (renames) -> mark as swapped -> actions, units, sysctls ->
verify -> commit (registry of what is ours). A fault before the mark, or in the steps after it, undoes everything; a
crash before the mark is undone later, a crash after it is finished later.
What can cut the host off (bundles in `confirm`) is committed only when control says so over a fresh connection: until
then the journal's phase is `confirming`, and a timer of systemd's, or the next boot, puts everything back.

Secrets: file contents only ever exist in memory, in the staging and previous folders (0700) and in their place.
Results, journal and registry hold digests; those of files with secrets are HMACs with a key of this host.
"""
# Plain os calls on purpose: each one is a system call whose order matters here.
# ruff: noqa: PTH101, PTH102, PTH103, PTH104, PTH106, PTH108, PTH110, PTH112, PTH115, PTH118, PTH119, PTH120
# ruff: noqa: PTH208, PTH211

from __future__ import annotations

import base64
import contextlib
import difflib
import errno
import fcntl
import grp
import hashlib
import hmac
import json
import os
import pwd
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

PROTOCOL = 1
BASE = "/var/lib/egov"
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LOCK_SECONDS = 60.0
COMMAND_SECONDS = 120.0
VALIDATE_SECONDS = 60.0
ACTIVE_SECONDS = 15.0
APPLY_SECONDS = 180.0  # the longest that swap, actions and verification take before the wait for a confirmation begins
SETTLE_SECONDS = 0.3
KEPT_TRANSACTIONS = 3
DIFF_LINES = 400
FOREIGN = "it exists and was not written by us; look at it, then apply with adopt to replace it"
HIDDEN_LINE = "[a line that is not shown: this file may hold secrets]"
RUNNING = ("active", "activating", "reloading")
UNIT_FOLDERS = ("/etc/systemd/", "/usr/lib/systemd/", "/lib/systemd/", "/usr/local/lib/systemd/")


# --- what is wanted (the job), as control sends it ------------------------------------------------------------------


@dataclass
class File:
    """A wanted file.

    `digest` is a SHA-256, or for a `secret` file the keyed digest under the job's nonce. `data` is the base64 of the
    rendered bytes with placeholders, only for what control saw differ.
    """

    path: str
    mode: str
    owner: str
    group: str
    bundle: str
    digest: str
    secret: bool = False
    validate: str = ""
    actions: list[str] = field(default_factory=list)
    data: str | None = None


@dataclass
class Folder:
    path: str
    mode: str
    owner: str
    group: str
    bundle: str


@dataclass
class Unit:
    """`enabled` and `active` may be None: not looked at."""

    name: str
    bundle: str
    enabled: bool | None = None
    active: bool | None = None


@dataclass
class Sysctl:
    name: str
    value: str
    bundle: str


@dataclass
class Job:
    """`keep` lists everything that the whole manifest names: what is ours, in our bundles and not kept is dropped."""

    id: str
    host: str
    revision: str
    nonce: list[str]
    bundles: list[str] | None
    keep: dict[str, list[str]]
    files: list[File]
    folders: list[Folder]
    absent: list[dict[str, str]]
    units: list[Unit]
    sysctls: list[Sysctl]
    order: list[str]
    secrets: dict[str, str] = field(default_factory=dict)
    check: bool = False
    diff: bool = False
    adopt: bool = False
    confirm: list[str] = field(default_factory=list)  # bundles that can cut the host off
    confirm_seconds: float = 0.0  # 0: nothing waits for a confirmation
    test: dict[str, Any] = field(default_factory=dict)


def read_job(data: bytes) -> Job:
    """Decode a job; ValueError when it is of another protocol."""
    raw = json.loads(zlib.decompress(data))
    if raw.pop("protocol", None) != PROTOCOL:
        raise ValueError("the job is of another protocol version")
    raw["files"] = [File(**item) for item in raw["files"]]
    raw["folders"] = [Folder(**item) for item in raw["folders"]]
    raw["units"] = [Unit(**item) for item in raw["units"]]
    raw["sysctls"] = [Sysctl(**item) for item in raw["sysctls"]]
    return Job(**raw)


# --- what will be done (the journal) --------------------------------------------------------------------------------


@dataclass
class Change:
    """One path to swap. `staged` is empty for a removal; `previous` is empty when nothing was there.

    `moved`: the previous thing is a folder, moved there at the swap. `keep`: where a foreign original stays for good.
    `record`: the registry's entry afterwards, None to forget. `back`: the path gets back its package's original.
    """

    path: str
    staged: str = ""
    previous: str = ""
    moved: bool = False
    keep: str = ""
    back: str = ""
    secret: bool = False  # the previous version may hold secrets: it goes when the change is committed
    record: dict[str, Any] | None = None


@dataclass
class FolderChange:
    """One folder to make (`was` empty), to set right, or to drop: we made it, and remove it when it is empty."""

    path: str
    mode: int
    owner: str
    group: str
    was: list[int] = field(default_factory=list)
    drop: bool = False
    record: dict[str, Any] | None = None


@dataclass
class UnitChange:
    name: str
    enabled: bool | None
    active: bool | None
    was_enabled: str
    was_active: str
    dropped: bool = False
    record: dict[str, Any] | None = None


@dataclass
class SysctlChange:
    name: str
    value: str | None
    was: str | None
    dropped: bool = False
    record: dict[str, Any] | None = None


@dataclass
class Journal:
    """Everything that finishing or undoing needs, without the job.

    `phase`: swapping, swapped, confirming or undoing. `confirm_seconds`: how long it waits for its confirmation, 0 for
    not at all; then `boot` and `deadline` (monotonic, of that boot) say until when.
    """

    id: str
    host: str
    revision: str
    protocol: int = PROTOCOL
    phase: str = "swapping"
    changes: list[Change] = field(default_factory=list)
    folders: list[FolderChange] = field(default_factory=list)
    units: list[UnitChange] = field(default_factory=list)
    sysctls: list[SysctlChange] = field(default_factory=list)
    checks: list[list[str]] = field(default_factory=list)  # [path, command]: valid together, after the swap
    actions: list[str] = field(default_factory=list)
    targets: dict[str, str] = field(default_factory=dict)  # unit of an action -> its state before
    idle: list[str] = field(default_factory=list)  # units that must not run: no action starts them
    confirm_seconds: float = 0.0
    boot: str = ""
    deadline: float = 0.0

    @property
    def empty(self) -> bool:
        return not (self.changes or self.folders or self.units or self.sysctls or self.actions)


def read_journal(text: str) -> Journal:
    """Decode a journal; ValueError when it is of another protocol."""
    raw = json.loads(text)
    if raw.get("protocol") != PROTOCOL:
        raise ValueError("the journal is of another protocol version")
    raw["changes"] = [Change(**item) for item in raw["changes"]]
    raw["folders"] = [FolderChange(**item) for item in raw["folders"]]
    raw["units"] = [UnitChange(**item) for item in raw["units"]]
    raw["sysctls"] = [SysctlChange(**item) for item in raw["sysctls"]]
    return Journal(**raw)


class Fault(Exception):
    """What went wrong: at which stage, with what, and why, for one sentence."""

    def __init__(self, stage: str, subject: str, reason: str) -> None:
        super().__init__(f"{subject}: {reason}")
        self.stage = stage


# --- judgements shared with control ---------------------------------------------------------------------------------


def keyed_digest(nonce: list[str], data: bytes) -> str:
    """The digest of a file with secrets between two keys that are used once; plain sh can do the same (probe.py)."""
    return hashlib.sha256(nonce[0].encode() + data + nonce[1].encode()).hexdigest()


def enabled_as_wanted(wanted: bool | None, state: str) -> bool:
    """Whether `systemctl is-enabled`'s word is as wanted; static and generated units have nothing to enable."""
    if wanted is None:
        return True
    if wanted:
        return state in ("enabled", "static", "alias", "indirect", "generated", "transient")
    return state not in ("enabled", "enabled-runtime", "linked", "linked-runtime")


def active_as_wanted(wanted: bool | None, state: str) -> bool:
    """Whether `systemctl is-active`'s word is as wanted."""
    if wanted is None:
        return True
    return (state in ("active", "reloading")) == wanted and (wanted or state not in ("activating", "deactivating"))


def unit_difference(unit: Unit, enabled: str, active: str) -> str:
    """Why a unit is not as wanted, in words; empty when it is."""
    said = []
    if not enabled_as_wanted(unit.enabled, enabled):
        said.append(f"{enabled or 'not-found'}, wanted {'enabled' if unit.enabled else 'disabled'}")
    if not active_as_wanted(unit.active, active):
        said.append(f"{active or 'unknown'}, wanted {'active' if unit.active else 'inactive'}")
    return "; ".join(said)


def same_value(one: str | None, other: str | None) -> bool:
    """Whether two sysctl values are the same; the kernel separates numbers by tabs."""
    return one is not None and other is not None and one.split() == other.split()


def sysctl_path(name: str) -> str:
    """net.ipv4.ip_forward or net/ipv4/conf/eth0.1/rp_filter -> the file under /proc/sys (sysctl.d(5))."""
    first = re.search(r"[./]", name)
    if first is None or first[0] == "/":
        return "/proc/sys/" + name
    return "/proc/sys/" + name.translate(str.maketrans("./", "/."))


def unit_of(action: str) -> str:
    """The unit that an action touches; empty for daemon-reload and run."""
    verb, _, name = action.partition(":")
    return name if verb in ("reload", "restart") else ""


# --- the host -------------------------------------------------------------------------------------------------------


class Machine:
    """This host: its files under `root` (tests use a folder), its commands, and the words that must not be said."""

    def __init__(self, test: dict[str, Any] | None = None) -> None:
        test = test or {}
        self.root: str = test.get("root", "")
        self.owns = os.geteuid() == 0 and not test.get("no_owners")
        self.settle: float = test.get("settle", SETTLE_SECONDS)
        self.lock_seconds: float = test.get("lock_seconds", LOCK_SECONDS)
        self._kill_at: int = test.get("kill_at", 0)
        self._steps = 0
        self._environment = {"PATH": test.get("path", SEARCH_PATH), "LC_ALL": "C", "HOME": "/root"}
        self._environment.update(test.get("environment", {}))
        self._hidden: list[tuple[str, str]] = []

    def real(self, path: str) -> str:
        return self.root + path

    def base(self, *names: str) -> str:
        return self.real("/".join((BASE, *names)))

    def step(self) -> None:
        """A point at which power may go; tests kill the program at the n-th."""
        self._steps += 1
        if self._steps == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def hide(self, secrets: dict[str, str]) -> None:
        """From now on say the placeholder instead of the value; longest first, so that no tail is left over."""
        pairs = [(value, name) for name, value in secrets.items() if len(value) >= 4]
        self._hidden = sorted(pairs, key=lambda pair: -len(pair[0]))

    def say(self, text: str) -> str:
        for value, name in self._hidden:
            text = text.replace(value, name)
        return text

    def run(self, command: str | list[str], seconds: float = COMMAND_SECONDS) -> tuple[int, str]:
        """Exit code and output (stdout and stderr together, secrets hidden); 124 when it took too long.

        All that it started ends with it then: a vtysh left behind may hold FRR's configuration when it is put back.
        """
        try:
            child = subprocess.Popen(  # a shell: validators and run: actions are command lines of our own bundles
                command,
                shell=isinstance(command, str),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=self._environment,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            return 127, str(error)
        with child:
            try:
                output, _ = child.communicate(timeout=seconds)
            except BaseException as error:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                if isinstance(error, subprocess.TimeoutExpired):
                    return 124, f"took longer than {seconds:g} s"
                raise
        return child.returncode, self.say(output.decode("utf-8", "replace")).strip()

    def systemctl(self, *words: str) -> tuple[int, str]:
        return self.run(["systemctl", *words])

    def unit_states(self, names: list[str]) -> dict[str, tuple[str, str]]:
        """name -> (is-enabled, is-active); Fault when systemd does not answer."""
        active = self.active_states(names)
        if not names:
            return {}
        listed = self._ask("list-unit-files", "--no-legend", "--no-pager", "--full", *names).splitlines()
        enabled = {words[0]: words[1] for words in map(str.split, listed) if len(words) > 1}
        for name in names:  # what is no unit file (instances, init scripts) is not in that list
            if name not in enabled:
                enabled[name] = (self._ask("is-enabled", name).split() or ["not-found"])[-1]
        return {name: (enabled[name], active[name]) for name in names}

    def active_states(self, names: list[str]) -> dict[str, str]:
        """name -> is-active; Fault when systemd does not answer."""
        said = self._ask("is-active", *names).split() if names else []
        if len(said) != len(names):
            raise Fault("survey", "systemd", "it does not answer: " + " ".join(said)[:200])
        return {name: said[i] for i, name in enumerate(names)}

    def _ask(self, *words: str) -> str:
        done = subprocess.run(
            ["systemctl", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self._environment,
            check=False,
        )
        return done.stdout.decode("utf-8", "replace")

    def boot_id(self) -> str:
        """Differs after each boot; the monotonic clock counts from there."""
        return read("/proc/sys/kernel/random/boot_id").decode().strip()

    def sysctl(self, name: str) -> str | None:
        try:
            with open(self.real(sysctl_path(name)), encoding="utf-8") as stream:
                return " ".join(stream.read().split())
        except OSError:
            return None

    def set_sysctl(self, name: str, value: str) -> None:
        descriptor = os.open(self.real(sysctl_path(name)), os.O_WRONLY | os.O_TRUNC)
        try:
            os.write(descriptor, (value + "\n").encode())
        finally:
            os.close(descriptor)

    def info(self, path: str) -> os.stat_result | None:
        """lstat, or None when there is nothing; Fault when a parent is no folder."""
        try:
            return os.lstat(self.real(path))
        except FileNotFoundError:
            return None
        except NotADirectoryError:
            raise Fault("survey", path, "a folder is wanted above it, and there is a file") from None

    def owner_of(self, info: os.stat_result) -> tuple[str, str]:
        return _name(pwd.getpwuid, info.st_uid), _name(grp.getgrgid, info.st_gid)

    def ids(self, subject: str, owner: str, group: str) -> tuple[int, int]:
        """(uid, gid); Fault when the user or group does not exist."""
        if not self.owns:
            return os.geteuid(), os.getegid()
        try:
            return pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid
        except KeyError:
            reason = f"user {owner} or group {group} does not exist; is the package that makes it installed?"
            raise Fault("stage", subject, reason) from None

    def mode_difference(self, info: os.stat_result, wanted: File | Folder) -> str:
        """Why mode or owner are not as wanted, in words; empty when they are."""
        said = []
        if stat.S_IMODE(info.st_mode) != int(wanted.mode, 8):
            said.append(f"mode {stat.S_IMODE(info.st_mode):04o}, wanted {int(wanted.mode, 8):04o}")
        if self.owns and self.owner_of(info) != (wanted.owner, wanted.group):
            said.append(f"owner {':'.join(self.owner_of(info))}, wanted {wanted.owner}:{wanted.group}")
        return "; ".join(said)


def _name(lookup: Any, number: int) -> str:
    try:
        return str(lookup(number)[0])
    except KeyError:
        return str(number)


# --- durable writing ------------------------------------------------------------------------------------------------


def sync_folder(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_new(path: str, data: bytes, mode: int = 0o600, owner: tuple[int, int] | None = None) -> None:
    """Make a file that must not exist, private until it is complete, and bring it to the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        if owner is not None:
            os.fchown(descriptor, *owner)
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)


def put(path: str, data: bytes) -> None:
    """Replace a private file of ours so that a crash leaves the old or the new one."""
    fresh = path + ".new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(fresh)
    write_new(fresh, data)
    os.rename(fresh, path)
    sync_folder(os.path.dirname(path))


def read(path: str) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()


def copy_of(source: str, target: str) -> None:
    """A copy with owner, mode and times, on the disk; of a link itself, not of what it points to."""
    info = os.lstat(source)
    if stat.S_ISLNK(info.st_mode):
        os.symlink(os.readlink(source), target)
        os.lchown(target, info.st_uid, info.st_gid)
        return
    if not stat.S_ISREG(info.st_mode):
        raise OSError(errno.EINVAL, "neither a file nor a link", source)
    write_new(target, read(source), stat.S_IMODE(info.st_mode), (info.st_uid, info.st_gid))
    os.utime(target, ns=(info.st_atime_ns, info.st_mtime_ns))


def second_name(source: str, target: str) -> None:
    """A hard link where that is possible (it costs nothing and is the same inode), else a copy."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
            raise
        copy_of(source, target)


def machine_file(journal: Journal) -> tuple[str, str, str]:
    """Where this program is kept while a change of it may have to be undone."""
    return "tx", journal.id, "egov-apply"


def own_source() -> str:
    """This program's own text: the bootstrap leaves it in SOURCE, as a file it reads itself."""
    given = globals().get("SOURCE")
    return given if isinstance(given, str) else read(__file__).decode()


def remove_tree(path: str) -> None:
    shutil.rmtree(path, ignore_errors=True)


# --- the registry: what is ours --------------------------------------------------------------------------------------


class Registry:
    """/var/lib/egov/managed.json: every file, folder, unit and sysctl that we set, with what was there before."""

    KINDS = ("files", "folders", "units", "sysctls")

    def __init__(self, machine: Machine) -> None:
        self._path = machine.base("managed.json")
        try:
            raw = json.loads(read(self._path))
        except FileNotFoundError:
            raw = {"protocol": PROTOCOL}
        except ValueError:
            raise Fault("survey", BASE + "/managed.json", "it is damaged; put it right or move it away") from None
        self.raw: dict[str, Any] = raw
        for kind in self.KINDS:
            raw.setdefault(kind, {})

    def __getitem__(self, kind: str) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = self.raw[kind]
        return found

    def dropped(self, kind: str, job: Job) -> dict[str, dict[str, Any]]:
        """What is ours, belongs to the job's bundles, and is no longer in the manifest."""
        keep = set(job.keep[kind])
        inside = self[kind].items()
        return {
            name: entry
            for name, entry in inside
            if name not in keep and (job.bundles is None or entry["bundle"] in job.bundles)
        }

    def save(self) -> None:
        put(self._path, (json.dumps(self.raw, sort_keys=True) + "\n").encode())


def host_key(machine: Machine) -> bytes:
    """The key of this host's HMACs, made at first use; it never leaves the host."""
    path = machine.base("key")
    try:
        return read(path)
    except FileNotFoundError:
        put(path, os.urandom(32))
        return read(path)


# --- may a foreign file be replaced? ---------------------------------------------------------------------------------


def replaceable(machine: Machine, path: str) -> bool:
    """Whether a file that we did not write is nobody's work: empty, from enrolment, or as its package made it."""
    info = machine.info(path)
    if info is None or not stat.S_ISREG(info.st_mode):
        return False
    data = read(machine.real(path))
    if not data.strip():
        return True
    if _listed(machine, BASE + "/enrol.sha256", hashlib.sha256(data).hexdigest(), path):
        return True
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()  # dpkg's and ucf's own records are MD5
    return _package_wrote(machine, path, digest)


def _listed(machine: Machine, register: str, digest: str, path: str) -> bool:
    try:
        lines = read(machine.real(register)).decode("utf-8", "replace").splitlines()
    except OSError:
        return False
    return any(line.split() == [digest, path] for line in lines)


def _package_wrote(machine: Machine, path: str, digest: str) -> bool:
    """Whether dpkg (conffiles, md5sums) or ucf have this very content on record for the path."""
    if _listed(machine, "/var/lib/ucf/hashfile", digest, path):
        return True
    try:
        if f"\n {path} {digest}".encode() in read(machine.real("/var/lib/dpkg/status")):
            return True
    except OSError:
        return False
    names = {path[1:], path[1:].removeprefix("usr/")}
    wanted = [f"{digest}  {name}\n".encode() for name in names]
    info = machine.real("/var/lib/dpkg/info")
    for entry in os.scandir(info):
        if entry.name.endswith(".md5sums"):
            data = read(entry.path)
            if any(line in data for line in wanted):
                return True
    return False


# --- survey: what differs --------------------------------------------------------------------------------------------


@dataclass
class Survey:
    """What differs from the job, and why. `again`: changed since control looked, its content was not sent."""

    write: list[File] = field(default_factory=list)
    remove: list[str] = field(default_factory=list)
    folders: list[Folder] = field(default_factory=list)
    drop_folders: list[str] = field(default_factory=list)
    units: list[Unit] = field(default_factory=list)
    drop_units: list[str] = field(default_factory=list)
    sysctls: list[Sysctl] = field(default_factory=list)
    drop_sysctls: list[str] = field(default_factory=list)
    actions: list[str] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)
    why: dict[str, str] = field(default_factory=dict)
    again: list[str] = field(default_factory=list)
    states: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def differs(self) -> bool:
        lists = (self.write, self.remove, self.folders, self.drop_folders, self.units, self.drop_units)
        return any(lists) or bool(self.sysctls or self.drop_sysctls or self.actions)


def survey(machine: Machine, job: Job, registry: Registry) -> Survey:
    """Compare the host with the job, now; nothing is changed."""
    found = Survey()
    for wanted in job.files:
        if why := _file_difference(machine, job, wanted):
            found.write.append(wanted)
            found.why[wanted.path] = why
            if wanted.data is None:
                found.again.append(wanted.path)
    dropped = registry.dropped("files", job)
    absent = [entry["path"] for entry in job.absent]
    found.remove = [
        *dropped,
        *(path for path in absent if path not in dropped and machine.info(path) is not None),
    ]
    found.why.update(dict.fromkeys(dropped, "no longer in the manifest"))
    found.why.update({path: "must not exist" for path in found.remove if path not in dropped})
    _survey_folders(machine, job, registry, found)
    _survey_units(machine, job, registry, found)
    _survey_sysctls(machine, job, registry, found)
    found.pending = _pending(machine)
    found.actions = _actions(job, registry, found)
    return found


def _file_difference(machine: Machine, job: Job, wanted: File) -> str:
    info = machine.info(wanted.path)
    if info is None:
        return "missing"
    if stat.S_ISDIR(info.st_mode):
        raise Fault("survey", wanted.path, "a file is wanted, and there is a folder")
    if not stat.S_ISREG(info.st_mode):
        return "not a plain file"
    data = read(machine.real(wanted.path))
    digest = keyed_digest(job.nonce, data) if wanted.secret else hashlib.sha256(data).hexdigest()
    said = [] if digest == wanted.digest else ["content"]
    if mode := machine.mode_difference(info, wanted):
        said.append(mode)
    return "; ".join(said)


def _survey_folders(machine: Machine, job: Job, registry: Registry, found: Survey) -> None:
    for folder in job.folders:
        info = machine.info(folder.path)
        if info is not None and not stat.S_ISDIR(info.st_mode):
            raise Fault("survey", folder.path, "a folder is wanted, and there is something else")
        if why := "missing" if info is None else machine.mode_difference(info, folder):
            found.folders.append(folder)
            found.why[folder.path] = why
    dropped = registry.dropped("folders", job).items()
    found.drop_folders = [path for path, entry in dropped if entry.get("created")]


def _survey_units(machine: Machine, job: Job, registry: Registry, found: Survey) -> None:
    dropped = list(registry.dropped("units", job))
    targets = {unit_of(action) for wanted in job.files for action in wanted.actions} - {""}
    names = sorted({unit.name for unit in job.units} | set(dropped) | targets)
    found.states = machine.unit_states(names)
    for unit in job.units:
        if why := unit_difference(unit, *found.states[unit.name]):
            found.units.append(unit)
            found.why[unit.name] = why
    found.drop_units = dropped


def _survey_sysctls(machine: Machine, job: Job, registry: Registry, found: Survey) -> None:
    for item in job.sysctls:
        live = machine.sysctl(item.name)
        if not same_value(live, item.value):
            found.sysctls.append(item)
            found.why[item.name] = f"{live if live is not None else 'missing'}, wanted {item.value}"
    found.drop_sysctls = list(registry.dropped("sysctls", job))


def _pending(machine: Machine) -> list[str]:
    """Actions that a boot-time recovery could not do: the mark that keeps the next run from saying ok."""
    try:
        return [str(action) for action in json.loads(read(machine.base("pending.json")))]
    except FileNotFoundError:
        return []


def _actions(job: Job, registry: Registry, found: Survey) -> list[str]:
    """The actions of everything that changes, each once, in the manifest's order; unknown ones last.

    A command that a file asks for is not run for a bundle that goes with all of its units: nothing is there to take it.
    """
    wanted = [action for item in found.write for action in item.actions]
    gone = set(found.drop_units)
    staying = {entry["bundle"] for name, entry in registry["units"].items() if name not in gone}
    leaving = {registry["units"][name]["bundle"] for name in gone} - staying
    for path in found.remove:
        record = registry["files"].get(path, {})
        commands = record.get("bundle") not in leaving
        wanted += [action for action in record.get("actions", []) if commands or not action.startswith("run:")]
    chosen = [action for action in dict.fromkeys(wanted + found.pending) if unit_of(action) not in gone]
    known = [action for action in job.order if action in chosen]
    return [*known, *(action for action in chosen if action not in known)]


def _can_cut_off(job: Job, registry: Registry, found: Survey) -> bool:
    """Whether anything that changes belongs to a bundle after which the host may not be reachable any more."""
    bundles = {item.bundle for item in found.write} | {item.bundle for item in found.folders}
    bundles |= {item.bundle for item in found.units} | {item.bundle for item in found.sysctls}
    dropped = {"files": found.remove, "units": found.drop_units, "sysctls": found.drop_sysctls}
    for kind, names in dropped.items():
        bundles |= {registry[kind].get(name, {}).get("bundle", "") for name in names}
    return bool(bundles & set(job.confirm))


# --- what is shown --------------------------------------------------------------------------------------------------


def substitute(rendered: bytes, secrets: dict[str, str]) -> bytes:
    """Put the values in, in memory."""
    for name, value in secrets.items():
        rendered = rendered.replace(name.encode(), value.encode())
    return rendered


def differences(machine: Machine, job: Job, registry: Registry, found: Survey) -> list[dict[str, str]]:
    """Ansible's `diff` entries; never a secret: placeholders in the new side, unknown lines of the old side hidden."""
    shown = []
    for item in found.write:
        rendered = base64.b64decode(item.data or "")
        text = _file_diff(machine, registry, item.path, rendered, job.secrets, item.secret)
        mode = found.why[item.path]
        if not text or mode != "content":
            text = f"# {item.path}: {mode}\n{text}"
        shown.append(text)
    for path in found.remove:
        shown.append(f"# {path}: {found.why[path]}\n" + _file_diff(machine, registry, path, None, job.secrets, False))
    names = [unit.name for unit in found.units] + [item.name for item in found.sysctls]
    shown += [f"# {name}: {found.why[name]}\n" for name in [item.path for item in found.folders] + names]
    for name in (*found.drop_folders, *found.drop_units, *found.drop_sysctls):
        shown.append(f"# {name}: no longer in the manifest\n")
    return [{"prepared": machine.say(text)} for text in shown]


def _file_diff(
    machine: Machine,
    registry: Registry,
    path: str,
    rendered: bytes | None,
    secrets: dict[str, str],
    secret: bool,
) -> str:
    info = machine.info(path)
    old = b""
    if info is not None and stat.S_ISREG(info.st_mode):
        old = read(machine.real(path))
    entry = registry["files"].get(path)
    private = info is not None and not stat.S_IMODE(info.st_mode) & 0o004
    hidden = secret or (bool(entry["secret"]) if entry else private)
    if b"\0" in old or b"\0" in (rendered or b""):
        return f"# {path}: a binary file\n"
    before = machine.say(old.decode("utf-8", "replace")).splitlines()
    after = (rendered or b"").decode("utf-8", "replace").splitlines()
    if hidden:
        before = _without_secrets(before, after, list(secrets))
    names = (path, path if rendered is not None else "/dev/null")
    lines = list(difflib.unified_diff(before, after, *names, lineterm=""))
    if len(lines) > DIFF_LINES:
        lines = [*lines[:DIFF_LINES], f"... {len(lines) - DIFF_LINES} more lines"]
    return "".join(line + "\n" for line in lines)


def _without_secrets(before: list[str], after: list[str], placeholders: list[str]) -> list[str]:
    """Old lines that the new text has too stay; a new line with another value says so; all others are hidden."""
    known = set(after)
    patterns = []
    for line in after:
        names = [name for name in placeholders if name in line]
        if names:
            pattern = re.escape(line)
            for name in names:
                pattern = pattern.replace(re.escape(name), ".+")
            patterns.append((re.compile(pattern), f"{line} [with another value]"))
    shown = []
    for line in before:
        if line in known:
            shown.append(line)
            continue
        shown.append(next((text for pattern, text in patterns if pattern.fullmatch(line)), HIDDEN_LINE))
    return shown


# --- the transaction ------------------------------------------------------------------------------------------------


class Transaction:
    """Stage, validate, journal, swap, act, verify, commit; or undo. One object for one job, or for one recovery."""

    def __init__(self, machine: Machine, registry: Registry) -> None:
        self.machine = machine
        self.registry = registry
        self.boot = False
        self.done: list[str] = []  # actions begun
        self.touched: set[str] = set()  # units started, restarted or reloaded
        self._arms = 0

    # -- before anything changes

    def plan(self, job: Job, found: Survey) -> tuple[Journal, dict[str, bytes]]:
        """The journal of what is to be done, and the contents to stage (host path of the staged file -> bytes)."""
        journal = Journal(job.id, job.host, job.revision, actions=found.actions)
        journal.idle = [unit.name for unit in job.units if unit.active is False]
        if job.confirm_seconds and _can_cut_off(job, self.registry, found):
            journal.confirm_seconds = job.confirm_seconds
        contents: dict[str, bytes] = {}
        staging = f"{BASE}/staging/{job.id}"
        for number, item in enumerate(found.write):
            content = substitute(base64.b64decode(item.data or ""), job.secrets)
            digest = keyed_digest(job.nonce, content) if item.secret else hashlib.sha256(content).hexdigest()
            if digest != item.digest:
                raise Fault("stage", item.path, "its content was damaged on the way")
            staged = f"{staging}/{number:03d}/{os.path.basename(item.path)}"
            contents[staged] = content
            change = Change(item.path, staged, record=self.record_of(item, content))
            self._note_previous(job, change, len(journal.changes))
            journal.changes.append(change)
            if item.validate and "%s" not in item.validate:
                journal.checks.append([item.path, item.validate])
        self._plan_removals(job, found, journal, contents, staging)
        self._plan_folders(found, journal)
        self._plan_units(found, journal)
        self._plan_sysctls(found, journal)
        return journal, contents

    def record_of(self, item: File, content: bytes) -> dict[str, Any]:
        known = self.registry["files"].get(item.path, {})
        if item.secret:
            digest = "hmac-sha256:" + hmac.new(host_key(self.machine), content, "sha256").hexdigest()
        else:
            digest = "sha256:" + item.digest
        return {
            "bundle": item.bundle,
            "digest": digest,
            "secret": item.secret,
            "actions": item.actions,
            "original": known.get("original", ""),
        }

    def _note_previous(self, job: Job, change: Change, number: int) -> None:
        """Say where the present version will be kept; refuse a foreign file unless it may be adopted."""
        machine, path = self.machine, change.path
        self._refuse_foreign_parents(path)
        info = machine.info(path)
        if info is None:
            return
        change.previous = f"{BASE}/tx/{job.id}/previous/{number:03d}"
        ours = path in self.registry["files"]
        change.secret = self._holds_secrets(change)
        if stat.S_ISDIR(info.st_mode):
            change.moved = True
        elif not (ours or not change.staged or job.adopt or self._equal(change) or replaceable(machine, path)):
            raise Fault("survey", path, FOREIGN)
        if not ours:
            change.keep = "original" + path
            if change.record is not None:
                change.record["original"] = change.keep

    def _holds_secrets(self, change: Change) -> bool:
        entries = (change.record, self.registry["files"].get(change.path))
        return any(bool(entry["secret"]) for entry in entries if entry)

    def _equal(self, change: Change) -> bool:
        """Whether a file that we did not write has the wanted content already (only its mode or owner differ)."""
        if change.record is None:
            return False
        kind, _, digest = str(change.record["digest"]).partition(":")
        info = self.machine.info(change.path)
        if info is None or not stat.S_ISREG(info.st_mode):
            return False
        data = read(self.machine.real(change.path))
        if kind == "sha256":
            return hashlib.sha256(data).hexdigest() == digest
        return hmac.new(host_key(self.machine), data, "sha256").hexdigest() == digest

    def _refuse_foreign_parents(self, path: str) -> None:
        """A link in a parent that somebody other than root made could lead us anywhere."""
        parent = os.path.dirname(path)
        while len(parent) > 1:
            info = self.machine.info(parent)
            if info is not None and stat.S_ISLNK(info.st_mode) and info.st_uid not in (0, os.geteuid()):
                raise Fault("survey", path, f"{parent} is a link made by another user than root")
            parent = os.path.dirname(parent)

    def _plan_removals(
        self, job: Job, found: Survey, journal: Journal, contents: dict[str, bytes], staging: str
    ) -> None:
        for path in found.remove:
            entry = self.registry["files"].get(path, {})
            original = str(entry.get("original", ""))
            absent = any(item["path"] == path for item in job.absent)
            change = Change(path)
            if original and not absent and os.path.lexists(self.machine.base(original)):
                change.staged = f"{staging}/back-{len(journal.changes):03d}"
                change.back = original
            elif self.machine.info(path) is None:
                self._forget_file(journal, path)
                continue
            change.previous = ""
            info = self.machine.info(path)
            if info is not None:
                self._refuse_foreign_parents(path)
                change.previous = f"{BASE}/tx/{job.id}/previous/{len(journal.changes):03d}"
                change.moved = stat.S_ISDIR(info.st_mode)
                change.secret = self._holds_secrets(change)
                if not entry and not change.moved:
                    change.keep = "original" + path
            journal.changes.append(change)

    def _forget_file(self, journal: Journal, path: str) -> None:
        """Gone already: only the registry has to know (a change without a staged file and without a previous one)."""
        journal.changes.append(Change(path))

    def _plan_folders(self, found: Survey, journal: Journal) -> None:
        wanted = {folder.path for folder in found.folders}
        bundles = {file.path: file.bundle for file in found.write}
        bundles.update({folder.path: folder.bundle for folder in found.folders})
        made: set[str] = set()
        for path in [change.path for change in journal.changes if change.staged] + sorted(wanted):
            for parent in self._missing_parents(path):
                if parent not in wanted and parent not in made:
                    made.add(parent)
                    record = {"bundle": bundles.get(path, ""), "created": True}
                    journal.folders.append(FolderChange(parent, 0o755, "root", "root", record=record))
        for folder in found.folders:
            info = self.machine.info(folder.path)
            was = [] if info is None else [stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid]
            self.machine.ids(folder.path, folder.owner, folder.group)
            known = self.registry["folders"].get(folder.path, {})
            record = {"bundle": folder.bundle, "created": known.get("created", not was)}
            journal.folders.append(
                FolderChange(folder.path, int(folder.mode, 8), folder.owner, folder.group, was, record=record)
            )
        journal.folders.sort(key=lambda item: item.path)
        for path in sorted(found.drop_folders, reverse=True):
            info = self.machine.info(path)
            was = [] if info is None else [stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid]
            journal.folders.append(FolderChange(path, 0o755, "root", "root", was, drop=True))

    def _missing_parents(self, path: str) -> list[str]:
        missing = []
        parent = os.path.dirname(path)
        while len(parent) > 1 and self.machine.info(parent) is None:
            missing.append(parent)
            parent = os.path.dirname(parent)
        return missing

    def _plan_units(self, found: Survey, journal: Journal) -> None:
        for unit in found.units:
            enabled, active = found.states[unit.name]
            journal.units.append(
                UnitChange(unit.name, unit.enabled, unit.active, enabled, active, record={"bundle": unit.bundle})
            )
        for name in found.drop_units:
            enabled, active = found.states[name]
            was = self.registry["units"][name]["was"]
            change = UnitChange(name, was[0] == "enabled", was[1] == "active", enabled, active, dropped=True)
            journal.units.append(change)
        journal.targets = {
            name: found.states[name][1] for action in found.actions if (name := unit_of(action)) if name in found.states
        }

    def _plan_sysctls(self, found: Survey, journal: Journal) -> None:
        for item in found.sysctls:
            was = self.machine.sysctl(item.name)
            journal.sysctls.append(SysctlChange(item.name, item.value, was, record={"bundle": item.bundle}))
        for name in found.drop_sysctls:
            value = self.registry["sysctls"][name]["was"]
            journal.sysctls.append(SysctlChange(name, value, self.machine.sysctl(name), dropped=True))

    def stage(self, journal: Journal, contents: dict[str, bytes], files: list[File]) -> None:
        """Write everything with its final owner and mode into a private folder, and to the disk."""
        machine = self.machine
        os.makedirs(machine.base("staging", journal.id), 0o700)
        os.makedirs(machine.base("tx", journal.id, "previous"), 0o700)
        wanted = {item.path: item for item in files}
        for change in journal.changes:
            if change.back:
                copy_of(machine.base(change.back), machine.real(change.staged))
            elif change.staged:
                item = wanted[change.path]
                owner = machine.ids(item.path, item.owner, item.group)
                os.makedirs(os.path.dirname(machine.real(change.staged)), 0o700)
                write_new(machine.real(change.staged), contents[change.staged], int(item.mode, 8), owner)
                sync_folder(os.path.dirname(machine.real(change.staged)))
            machine.step()
        sync_folder(machine.base("staging", journal.id))

    def validate(self, journal: Journal, files: list[File]) -> None:
        """Ask each file's validator about the staged file; Fault with its words when it refuses."""
        staged = {change.path: change.staged for change in journal.changes}
        for item in files:
            if item.validate and "%s" in item.validate:
                place = shlex.quote(self.machine.real(staged[item.path]))
                self._check(item.path, item.validate, item.validate.replace("%s", place), place)

    def _check(self, path: str, shown: str, command: str, place: str = "") -> None:
        code, output = self.machine.run(command, VALIDATE_SECONDS)
        if code != 0:
            said = output.replace(place, path) if place else output
            raise Fault("validate", path, f"`{shown.replace('%s', path)}` refused it: {_last(said) or f'exit {code}'}")

    def remember(self, journal: Journal) -> None:
        """Keep the present versions, then write the journal: from here on a crash is undone."""
        machine = self.machine
        for change in journal.changes:
            if change.previous and not change.moved:
                second_name(machine.real(change.path), machine.real(change.previous))
        sync_folder(machine.base("tx", journal.id, "previous"))
        machine.step()
        self._write_journal(journal)

    def _write_journal(self, journal: Journal) -> None:
        put(self.machine.base("journal.json"), (json.dumps(asdict(journal), indent=1) + "\n").encode())
        self.machine.step()

    # -- the swap

    def swap(self, journal: Journal) -> None:
        """Rename everything into place, then mark it: from here on a crash is finished, not undone."""
        self._set_units([unit for unit in journal.units if unit.dropped])
        touched = set()
        for folder in journal.folders:
            if not folder.drop:
                self._set_folder(folder)
                touched.add(os.path.dirname(folder.path))
                self.machine.step()
        for change in journal.changes:
            self._swap_one(journal, change)
            touched.add(os.path.dirname(change.path))
            self.machine.step()
        for path in sorted(touched):
            if os.path.isdir(self.machine.real(path)):
                sync_folder(self.machine.real(path))
        journal.phase = "swapped"
        self._write_journal(journal)

    def _set_folder(self, folder: FolderChange) -> None:
        place = self.machine.real(folder.path)
        if not folder.was:
            with contextlib.suppress(FileExistsError):
                os.mkdir(place, 0o700)
        if self.machine.owns:
            os.chown(place, *self.machine.ids(folder.path, folder.owner, folder.group), follow_symlinks=False)
        os.chmod(place, folder.mode)

    def _swap_one(self, journal: Journal, change: Change) -> None:
        place = self.machine.real(change.path)
        if change.moved:
            os.rename(place, self.machine.real(change.previous))
        if change.staged:
            self._rename(self.machine.real(change.staged), place, self._beside(journal, place))
        elif change.previous and not change.moved:
            os.unlink(place)

    def _rename(self, source: str, target: str, beside: str) -> None:
        """Rename; across file systems by way of a copy beside the target, so that the last step is a rename again."""
        try:
            os.rename(source, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            with contextlib.suppress(FileNotFoundError):
                os.unlink(beside)
            copy_of(source, beside)
            os.rename(beside, target)

    @staticmethod
    def _beside(journal: Journal, place: str) -> str:
        return os.path.join(os.path.dirname(place), f".egov-{journal.id}")

    # -- what must be confirmed

    def arm(self, journal: Journal, seconds: float) -> None:
        """Have systemd put everything back after so many seconds, whatever becomes of us and of the connection."""
        machine, mine = self.machine, machine_file(journal)
        program = machine.base(*mine)
        if not os.path.exists(program):
            write_new(program, own_source().encode(), 0o700)
        self._arms += 1
        unit = f"egov-unconfirmed-{journal.id}-{self._arms}"
        when = [f"--on-active={seconds:g}s", "--timer-property=AccuracySec=100ms", f"--unit={unit}"]
        command = [sys.executable, "-I", "-S", program, "recover", "--unconfirmed", journal.id]
        code, output = machine.run(["systemd-run", "--quiet", "--collect", *when, *command])
        if code != 0:
            raise Fault("confirm", "systemd-run", f"no timer could be set: {_last(output) or f'exit {code}'}")

    def disarm(self, journal: Journal) -> None:
        """The timers have nothing to do any more; what runs is us, or finds another journal."""
        if journal.confirm_seconds:
            self.machine.systemctl("stop", f"egov-unconfirmed-{journal.id}-*.timer")

    def await_confirmation(self, journal: Journal) -> None:
        """Everything is in place and works as far as this host can tell; from here on only control's word keeps it."""
        journal.phase = "confirming"
        journal.boot = self.machine.boot_id()
        journal.deadline = time.monotonic() + journal.confirm_seconds
        self._write_journal(journal)
        self.arm(journal, journal.confirm_seconds)
        self.machine.step()

    # -- after the swap

    def finish(self, journal: Journal) -> None:
        """Checks, actions in order, units, sysctls, and a look whether all of it holds; Fault when not."""
        for path, command in journal.checks:
            self._check(path, command, command)
        for unit in journal.units:
            if unit.was_enabled.startswith("masked") and not unit.dropped and (unit.enabled or unit.active):
                self._systemctl(unit.name, "unmask", unit.name)
        for action in journal.actions:
            self.machine.step()
            self.done.append(action)
            self._act(journal, action)
        self._set_units(journal.units)
        for item in journal.sysctls:
            self._set_sysctl(item)
        for folder in journal.folders:
            if folder.drop:
                with contextlib.suppress(OSError):
                    os.rmdir(self.machine.real(folder.path))
        if not self.boot:
            self._verify(journal)

    def _act(self, journal: Journal, action: str) -> None:
        verb, _, rest = action.partition(":")
        if action == "daemon-reload":
            self._systemctl("systemd", "daemon-reload")
        elif verb == "run":
            if not self.boot:
                code, output = self.machine.run(rest)
                if code != 0:
                    raise Fault(
                        "action",
                        f"`{self.machine.say(rest)}`",
                        f"it failed: {_last(output) or f'exit {code}'}",
                    )
        elif verb in ("reload", "restart"):
            self._act_on_unit(journal, verb, rest)
        else:
            raise Fault("action", action, "an action that this version does not know")

    def _act_on_unit(self, journal: Journal, verb: str, name: str) -> None:
        """At boot, and for a unit that is down, starting it is what makes it read its new configuration."""
        running = self.machine.active_states([name])[name] in RUNNING
        if self.boot:
            if running:
                self._systemctl(
                    name, "--no-block", "try-reload-or-restart" if verb == "reload" else "try-restart", name
                )
            return
        wanted = any(unit.name == name and unit.active and not unit.dropped for unit in journal.units)
        if not running and (name in journal.idle or (verb == "reload" and not wanted)):
            return  # nothing runs that could read it
        if not running:
            verb = "start"
        self.touched.add(name)
        if verb != "reload":
            self.machine.systemctl("reset-failed", name)  # our own restarts must not count as a crash loop
        self._systemctl(name, verb, name)

    def _set_units(self, units: list[UnitChange]) -> None:
        """Enable, disable, start or stop as wanted; states that are right already cost one question for all."""
        if not units:
            return
        self.machine.step()
        states = self.machine.unit_states([unit.name for unit in units])
        for wanted, verb in ((True, "enable"), (False, "disable")):
            names = [
                unit.name
                for unit in units
                if unit.enabled is wanted and not enabled_as_wanted(wanted, states[unit.name][0])
            ]
            for name in names:
                if wanted and states[name][0] in ("", "not-found"):
                    raise Fault("unit", name, "it does not exist; is its package installed?")
            # All at once: after each call systemd reads all unit files anew. One by one tells whose fault it is.
            if names and self.machine.systemctl(verb, *names)[0] != 0:
                for name in names:
                    self._systemctl(name, verb, name)
        for unit in units:
            self.machine.step()
            self._start_or_stop(unit, states[unit.name][1])
        if self.boot:
            return
        # Starting or stopping one unit may have taken another one along. What fails, or comes up again and again, is
        # left: starting it anew would wipe out systemd's count of that.
        after = self.machine.active_states([unit.name for unit in units])
        for unit in units:
            if after[unit.name] in ("inactive", "active", "reloading"):
                self._start_or_stop(unit, after[unit.name])

    def _start_or_stop(self, unit: UnitChange, active: str) -> None:
        if unit.active is None or active_as_wanted(unit.active, active):
            return
        verb = "start" if unit.active else "stop"
        if self.boot:
            self._systemctl(unit.name, "--no-block", verb, unit.name)
            return
        self.touched.add(unit.name)
        if unit.active:
            self.machine.systemctl("reset-failed", unit.name)
        self._systemctl(unit.name, verb, unit.name)

    def _set_sysctl(self, item: SysctlChange) -> None:
        if item.value is None or same_value(self.machine.sysctl(item.name), item.value):
            return
        try:
            self.machine.set_sysctl(item.name, item.value)
        except OSError as error:
            if self.boot or item.dropped:
                return
            raise Fault("sysctl", item.name, f"cannot be set to {item.value}: {error.strerror}") from None

    def _systemctl(self, name: str, *words: str) -> None:
        code, output = self.machine.systemctl(*words)
        if code != 0:
            reason = f"systemctl {' '.join(word for word in words if not word.startswith('--'))} failed"
            raise Fault("unit", name, f"{reason}: {_last(self._log(name)) or _last(output) or f'exit {code}'}")

    def _log(self, name: str) -> str:
        """The unit's own last words, which say more than systemctl's advice to go and look for them."""
        if name.rpartition(".")[2] not in ("service", "socket", "timer", "mount"):
            return ""
        words = ["journalctl", "-q", f"_SYSTEMD_UNIT={name}", "--since=-1min", "-n", "4", "-o", "cat"]
        return self.machine.run(words, 10)[1]

    def _verify(self, journal: Journal) -> None:
        """A unit that starts and dies a moment later is not active: look again after a moment."""
        names = [unit.name for unit in journal.units if unit.active and not unit.dropped]
        names += [name for name, was in journal.targets.items() if was == "active" and name not in names]
        gone = {unit.name for unit in journal.units if unit.dropped or unit.active is False}
        names = [name for name in names if name not in gone]
        if names and self.touched:
            time.sleep(self.machine.settle)
        limit = time.monotonic() + ACTIVE_SECONDS
        while names:
            states = self.machine.unit_states(names)
            bad = {name: state[1] for name, state in states.items() if not active_as_wanted(True, state[1])}
            if not bad:
                break
            name, state = next(iter(bad.items()))
            if state not in ("activating", "deactivating") or time.monotonic() > limit:
                raise Fault(
                    "verify",
                    name,
                    f"it does not stay up ({state}): {_last(self._log(name)) or 'no word of it'}",
                )
            time.sleep(0.3)
        for name, restarts in self._restarts(sorted(self.touched.intersection(names))).items():
            if restarts:
                raise Fault("verify", name, f"it keeps crashing: {_last(self._log(name)) or 'no word of it'}")
        self._verify_rest(journal)

    def _restarts(self, names: list[str]) -> dict[str, int]:
        """How often systemd had to restart each since we started it: what dies at once looks active in between."""
        if not names:
            return {}
        code, output = self.machine.systemctl("show", "-p", "Id", "-p", "NRestarts", *names)
        if code != 0:
            return {}
        blocks = [block.splitlines() for block in output.split("\n\n")]
        said = [dict(line.split("=", 1) for line in block if "=" in line) for block in blocks]
        return {
            unit["Id"]: int(unit["NRestarts"]) for unit in said if "Id" in unit and unit.get("NRestarts", "").isdigit()
        }

    def _verify_rest(self, journal: Journal) -> None:
        states = self.machine.unit_states([unit.name for unit in journal.units if not unit.dropped])
        for unit in journal.units:
            if unit.dropped:
                continue
            wanted = Unit(unit.name, "", unit.enabled, unit.active)
            if why := unit_difference(wanted, *states[unit.name]):
                raise Fault("verify", unit.name, why)
        for item in journal.sysctls:
            if not item.dropped and not same_value(self.machine.sysctl(item.name), item.value):
                raise Fault("verify", item.name, f"it is {self.machine.sysctl(item.name)}, wanted {item.value}")

    def commit(self, journal: Journal) -> None:
        """Keep foreign originals for good, write the registry, close the journal. May be repeated after a crash."""
        machine, registry = self.machine, self.registry
        for change in journal.changes:
            if change.keep and change.previous:
                self.keep_original(machine.real(change.previous), change.keep)
            if change.record is None:
                registry["files"].pop(change.path, None)
            else:
                registry["files"][change.path] = change.record
        for folder in journal.folders:
            if folder.record is None or folder.drop:
                registry["folders"].pop(folder.path, None)
            elif folder.record["bundle"]:
                registry["folders"][folder.path] = folder.record
        self._commit_states(journal)
        machine.step()
        registry.save()
        machine.step()
        if self.boot and journal.actions:
            put(machine.base("pending.json"), json.dumps(journal.actions).encode())
        elif not self.boot:
            _unlink(machine.base("pending.json"))
        self._close(journal)
        for change in journal.changes:
            if change.secret and not change.moved and change.previous:
                _unlink(machine.real(change.previous))
            if change.back:
                _unlink(machine.base(change.back))

    def _commit_states(self, journal: Journal) -> None:
        for unit in journal.units:
            if unit.dropped:
                self.registry["units"].pop(unit.name, None)
            else:
                self._first("units", unit.name, unit.record, [unit.was_enabled, unit.was_active])
        for item in journal.sysctls:
            if item.dropped:
                self.registry["sysctls"].pop(item.name, None)
            else:
                self._first("sysctls", item.name, item.record, item.was)

    def _first(self, kind: str, name: str, record: dict[str, Any] | None, was: Any) -> None:
        """Enter it; what was there before us is what the first entry says."""
        known = self.registry[kind].get(name, {})
        self.registry[kind][name] = {**(record or {}), "was": known.get("was", was)}

    def keep_original(self, source: str, keep: str) -> None:
        """What was there before us stays under original/; what stays there already is the older one."""
        target = self.machine.base(keep)
        if os.path.lexists(target) or not os.path.lexists(source):
            return
        os.makedirs(os.path.dirname(target), 0o700, exist_ok=True)
        copy_of(source, target)

    def _close(self, journal: Journal) -> None:
        self.disarm(journal)
        _unlink(self.machine.base("journal.json"))
        sync_folder(self.machine.base())
        remove_tree(self.machine.base("staging", journal.id))

    # -- undo

    def undo(self, journal: Journal) -> list[str]:
        """Put everything back as the journal remembers it. Returns what could not be; raises OSError on a file."""
        if journal.phase != "undoing":
            journal.phase = "undoing"
            self._write_journal(journal)
        faults: list[str] = []
        self._stop_ours(journal, faults)
        self._make_dropped_folders(journal)
        for change in reversed(journal.changes):
            self._put_back(journal, change)
            self.machine.step()
        self._undo_folders(journal)
        for path in sorted({os.path.dirname(change.path) for change in journal.changes}):
            if os.path.isdir(self.machine.real(path)):
                sync_folder(self.machine.real(path))
        self._undo_services(journal, faults)
        for item in journal.sysctls:
            if item.was is not None and not same_value(self.machine.sysctl(item.name), item.was):
                with contextlib.suppress(OSError):
                    self.machine.set_sysctl(item.name, item.was)
        self._close(journal)
        remove_tree(self.machine.base("tx", journal.id, "previous"))
        return faults

    def _stop_ours(self, journal: Journal, faults: list[str]) -> None:
        """While the new unit files are still there: what we started is stopped, what we enabled is disabled."""
        for unit in journal.units:
            if self._states(unit.name)[0] == "enabled" and unit.was_enabled not in ("enabled", "alias", "static"):
                self._try(faults, "disable", unit.name)
        if self.boot:
            return
        before = {**journal.targets, **{unit.name: unit.was_active for unit in journal.units}}
        for name, was in before.items():
            if was in ("inactive", "failed", "unknown") and self._states(name)[1] in RUNNING:
                self._try(faults, "stop", name)

    def _put_back(self, journal: Journal, change: Change) -> None:
        place, beside = self.machine.real(change.path), self._beside(journal, self.machine.real(change.path))
        _unlink(beside)
        if change.moved:
            previous = self.machine.real(change.previous)
            if os.path.isdir(previous):
                _unlink(place)
                os.rename(previous, place)
        elif change.previous:
            previous = self.machine.real(change.previous)
            if not (os.path.lexists(place) and os.path.samestat(os.lstat(place), os.lstat(previous))):
                second_name(previous, beside)
                os.rename(beside, place)
                _unlink(beside)
        elif change.staged:
            _unlink(place)

    def _make_dropped_folders(self, journal: Journal) -> None:
        """A folder that we had removed already: its files go back into it; owner and mode follow after them."""
        for folder in sorted(journal.folders, key=lambda item: item.path):
            if folder.drop and folder.was:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(self.machine.real(folder.path), 0o700)

    def _undo_folders(self, journal: Journal) -> None:
        for folder in reversed(journal.folders):
            place = self.machine.real(folder.path)
            if not folder.was:
                with contextlib.suppress(OSError):
                    os.rmdir(place)
                continue
            if os.path.isdir(place):
                if self.machine.owns:
                    os.chown(place, folder.was[1], folder.was[2])
                os.chmod(place, folder.was[0])

    def _undo_services(self, journal: Journal, faults: list[str]) -> None:
        """Daemons read the old files again, and units are as they were."""
        units = any(change.path.startswith(UNIT_FOLDERS) for change in journal.changes)
        if units or "daemon-reload" in journal.actions:
            self._try(faults, "daemon-reload")
        if not self.boot:
            for action in self.done:
                self._redo(journal, action, faults)
        for unit in journal.units:
            self._undo_unit(unit, faults)

    def _redo(self, journal: Journal, action: str, faults: list[str]) -> None:
        verb, _, rest = action.partition(":")
        if verb == "run":
            gone = {self.machine.real(change.path) for change in journal.changes}
            if any(word in gone and not os.path.lexists(word) for word in rest.split()):
                return  # it reads a file that was not there before
            code, output = self.machine.run(rest)
            if code != 0:
                faults.append(f"`{self.machine.say(rest)}`: {_last(output)}")
        elif verb in ("reload", "restart") and journal.targets.get(rest) in (
            "active",
            "activating",
            "reloading",
        ):
            self.machine.systemctl("reset-failed", rest)
            running = self._states(rest)[1] in ("active", "reloading")
            self._try(faults, verb if running else "restart", rest)

    def _undo_unit(self, unit: UnitChange, faults: list[str]) -> None:
        enabled, active = self._states(unit.name)
        if unit.was_enabled.startswith("masked") and not enabled.startswith("masked"):
            self._try(faults, "mask", unit.name)
        elif unit.was_enabled == "enabled" and enabled != "enabled":
            self._try(faults, "enable", unit.name)
        if active == "failed" and unit.was_active != "failed":
            self.machine.systemctl("reset-failed", unit.name)
        if not self.boot and unit.was_active == "active" and active != "active":
            self._try(faults, "start", unit.name)

    def _states(self, name: str) -> tuple[str, str]:
        try:
            return self.machine.unit_states([name])[name]
        except Fault:
            return "", "unknown"

    def _try(self, faults: list[str], *words: str) -> None:
        code, output = self.machine.systemctl(*words)
        if code != 0:
            faults.append(f"systemctl {' '.join(words)}: {_last(output)}")


def _last(text: str) -> str:
    """The last two lines that say something, as one, short enough for a sentence."""
    lines = list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    return " / ".join(lines[-2:])[-400:]


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


# --- the two sub-commands -------------------------------------------------------------------------------------------


@contextlib.contextmanager
def locked(machine: Machine, wait: bool = True) -> Iterator[bool]:
    """The one lock of this host; yields False when it is taken (at once, or after LOCK_SECONDS with `wait`)."""
    os.makedirs(machine.base(), 0o700, exist_ok=True)
    descriptor = os.open(machine.base("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    limit = time.monotonic() + (machine.lock_seconds if wait else 0)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() >= limit:
                    yield False
                    return
                time.sleep(0.2)
                continue
            yield True
            return
    finally:
        os.close(descriptor)


def recover(machine: Machine, boot: bool, unconfirmed: str = "") -> str | None:
    """Finish or undo the transaction that is open; the lock is held. Returns what was done, None when none was open.

    `unconfirmed`: only this one, whose time is up. Fault when one is open that may still be confirmed.
    """
    try:
        journal = read_journal(read(machine.base("journal.json")).decode())
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise Fault("recover", BASE + "/journal.json", f"it cannot be read: {error}") from None
    if unconfirmed and journal.id != unconfirmed:
        return None
    transaction = Transaction(machine, Registry(machine))
    transaction.boot = boot
    if unconfirmed or journal.phase == "confirming":
        left = journal.deadline - time.monotonic() if journal.boot == machine.boot_id() else 0.0
        if journal.phase == "confirming" and left > 1 and not boot:
            if unconfirmed:  # the first of two timers, after an apply that took very long
                return None
            raise Fault("recover", "the change before this one", f"it waits {left:.0f} s more for its confirmation")
        transaction.done = list(journal.actions) if journal.phase != "swapping" else []
        transaction.undo(journal)
        _leave_result(machine, journal.id, _unconfirmed(journal))
        return "undone"
    if journal.phase == "swapped":
        try:
            transaction.finish(journal)
        except Exception:  # as in an apply: all or nothing
            transaction.undo(journal)
            return "undone"
        transaction.commit(journal)
        return "finished"
    transaction.done = list(journal.actions) if journal.phase == "undoing" else []
    transaction.undo(journal)
    return "undone"


def _unconfirmed(journal: Journal) -> dict[str, Any]:
    said = f"{journal.host}: nobody could reach it by a new connection; it has put everything back by itself"
    return {"failed": True, "changed": False, "rolled_back": True, "stage": "confirm", "msg": said}


def confirm(machine: Machine, job: str) -> dict[str, Any]:
    """Keep what waits for it; the lock is held. Says `confirmed`, and what became of the change when it is too late."""
    try:
        journal = read_journal(read(machine.base("journal.json")).decode())
    except FileNotFoundError:
        journal = None
    if journal is None or journal.id != job or journal.phase != "confirming":
        try:
            found: dict[str, Any] = json.loads(read(machine.base("tx", job, "result.json")))
        except (OSError, ValueError):
            found = {"failed": True, "msg": "no such change is known here"}
        return {"confirmed": False, **found}
    Transaction(machine, Registry(machine)).commit(journal)
    with contextlib.suppress(OSError, ValueError):
        told = json.loads(read(machine.base("tx", job, "result.json")))
        told.pop("confirm", None)
        _leave_result(machine, job, {**told, "confirmed": True})
    return {"confirmed": True}


def apply(machine: Machine, job: Job) -> dict[str, Any]:
    """The whole transaction. Returns the result for control; never raises."""
    machine.hide(job.secrets)
    if job.check:
        return _guarded(machine, job, lambda: _check_only(machine, job))
    with locked(machine) as ours:
        if not ours:
            return {
                "failed": True,
                "rolled_back": True,
                "stage": "lock",
                "msg": f"{job.host}: another apply is running",
            }
        result = _guarded(machine, job, lambda: _apply_locked(machine, job))
        if not result.get("again"):
            _leave(machine, job, result)
        return result


def _guarded(machine: Machine, job: Job, action: Any) -> dict[str, Any]:
    """A fault before anything has changed, in one sentence."""
    try:
        found: dict[str, Any] = action()
        return found
    except Fault as fault:
        said = f"{job.host}: {fault}; nothing was changed"
        return {"failed": True, "rolled_back": True, "stage": fault.stage, "msg": said}
    except OSError as error:
        subject = f"{error.filename}: " if error.filename else ""
        said = f"{job.host}: {subject}{error.strerror or error}; nothing was changed"
    except Exception as error:  # a defect of this program: say so in a sentence too
        said = f"{job.host}: internal fault {type(error).__name__}: {machine.say(str(error))}; nothing was changed"
    return {"failed": True, "rolled_back": True, "stage": "system", "msg": said}


def _check_only(machine: Machine, job: Job) -> dict[str, Any]:
    """What an apply would do; writes nothing, takes no lock, asks no validator."""
    registry = Registry(machine)
    found = survey(machine, job, registry)
    if found.again:
        return {"again": found.again}
    _refuse_foreign(machine, job, registry, found)
    result = _result(machine, job, registry, found)
    if os.path.exists(machine.base("journal.json")):
        result.update(changed=True, recovered="an interrupted apply would be finished or undone first")
    return result


def _refuse_foreign(machine: Machine, job: Job, registry: Registry, found: Survey) -> None:
    for item in found.write:
        info = machine.info(item.path)
        foreign = info is not None and item.path not in registry["files"] and not job.adopt
        only_mode = not found.why[item.path].startswith(("content", "not a plain file"))
        if foreign and not only_mode and not replaceable(machine, item.path):
            raise Fault("survey", item.path, FOREIGN)


def _result(machine: Machine, job: Job, registry: Registry, found: Survey) -> dict[str, Any]:
    result = {
        "changed": found.differs,
        "files": [item.path for item in found.write],
        "folders": [item.path for item in found.folders],
        "units": [item.name for item in found.units] + found.drop_units,
        "sysctls": [item.name for item in found.sysctls] + found.drop_sysctls,
        "removed": [*found.remove, *found.drop_folders],
        "actions": found.actions,
        "why": {name: machine.say(text) for name, text in found.why.items()},
    }
    if job.diff:
        result["diff"] = differences(machine, job, registry, found)
    return result


def _apply_locked(machine: Machine, job: Job) -> dict[str, Any]:
    recovered = recover(machine, boot=False)
    _prune(machine, job)
    registry = Registry(machine)
    found = survey(machine, job, registry)
    if found.again:
        return {"again": found.again}
    result = _result(machine, job, registry, found)
    if recovered:
        result.update(recovered=recovered, changed=True)
    if found.differs:
        result.update(_transact(machine, job, registry, found))
    if "confirm" in result:  # what differed is entered when it is confirmed; nothing becomes of the rest by that
        _register(machine, _as_wanted(job, found), registry, waiting=True)
    elif not result.get("failed"):
        _register(machine, job, registry)
    return result


def _as_wanted(job: Job, found: Survey) -> Job:
    """The part of the job that was found as wanted."""
    return replace(
        job,
        files=[item for item in job.files if item not in found.write],
        folders=[item for item in job.folders if item not in found.folders],
        units=[item for item in job.units if item not in found.units],
        sysctls=[item for item in job.sysctls if item not in found.sysctls],
    )


def _transact(machine: Machine, job: Job, registry: Registry, found: Survey) -> dict[str, Any]:
    transaction = Transaction(machine, registry)
    try:
        journal, contents = transaction.plan(job, found)
        transaction.stage(journal, contents, found.write)
        transaction.validate(journal, found.write)
        transaction.remember(journal)
        if journal.confirm_seconds:  # before the swap: should this program die half-way, the host is not lost either
            transaction.arm(journal, journal.confirm_seconds + APPLY_SECONDS)
    except BaseException:
        remove_tree(machine.base("staging", job.id))
        remove_tree(machine.base("tx", job.id))
        _unlink(machine.base("journal.json"))
        raise
    try:
        transaction.swap(journal)
        transaction.finish(journal)
        if journal.confirm_seconds:
            transaction.await_confirmation(journal)
            return {"confirm": journal.id, "confirm_seconds": journal.confirm_seconds}
        transaction.commit(journal)
    except Exception as error:  # whatever it is, the host must not stay between two states
        return _undone(machine, job, transaction, journal, error)
    return {}


def _undone(machine: Machine, job: Job, transaction: Transaction, journal: Journal, error: Exception) -> dict[str, Any]:
    stage = error.stage if isinstance(error, Fault) else "system"
    reason = machine.say(str(error))
    try:
        faults = transaction.undo(journal)
    except OSError as second:
        said = f"{job.host}: {reason}; and it could not be put back: {second}"
        return {"failed": True, "changed": True, "rolled_back": False, "stage": stage, "msg": said}
    said = f"{job.host}: {reason}; everything was put back"
    if faults:
        said += f", but {'; '.join(faults)}"
    return {
        "failed": True,
        "changed": False,
        "rolled_back": not faults,
        "stage": stage,
        "msg": machine.say(said),
    }


def _register(machine: Machine, job: Job, registry: Registry, waiting: bool = False) -> None:
    """Enter what was as wanted already: from now on it is ours, and repaired when it drifts.

    `waiting`: a change is not confirmed yet; what it drops stays on record until it is.
    """
    before = json.dumps(registry.raw, sort_keys=True)
    for item in job.files:
        known = registry["files"].get(item.path)
        if known is None:
            transaction = Transaction(machine, registry)
            record = transaction.record_of(item, read(machine.real(item.path)))
            record["original"] = "original" + item.path
            transaction.keep_original(machine.real(item.path), record["original"])
            registry["files"][item.path] = record
        else:
            known.update(bundle=item.bundle, actions=item.actions, secret=item.secret)
    for path in () if waiting else registry.dropped("folders", job):
        del registry["folders"][path]
    for folder in job.folders:
        registry["folders"].setdefault(folder.path, {"created": False})["bundle"] = folder.bundle
    missing = [unit for unit in job.units if unit.name not in registry["units"]]
    states = machine.unit_states([unit.name for unit in missing])
    for unit in missing:
        registry["units"][unit.name] = {"was": list(states[unit.name])}
    for unit in job.units:
        registry["units"][unit.name]["bundle"] = unit.bundle
    for item_ in job.sysctls:
        entry = registry["sysctls"].setdefault(item_.name, {"was": machine.sysctl(item_.name)})
        entry["bundle"] = item_.bundle
    if not waiting:
        registry.raw["revision"] = job.revision
    if json.dumps(registry.raw, sort_keys=True) != before:
        registry.save()


def _leave(machine: Machine, job: Job, result: dict[str, Any]) -> None:
    """Leave the result for a control that lost its connection."""
    _leave_result(machine, job.id, result)


def _leave_result(machine: Machine, job: str, result: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        os.makedirs(machine.base("tx", job), 0o700, exist_ok=True)
        put(machine.base("tx", job, "result.json"), (json.dumps(result) + "\n").encode())


def _prune(machine: Machine, job: Job) -> None:
    """Staged leftovers hold secrets: none survives; of earlier transactions the last few stay."""
    remove_tree(machine.base("staging"))
    with contextlib.suppress(FileNotFoundError):
        for name in sorted(os.listdir(machine.base("tx")))[:-KEPT_TRANSACTIONS]:
            remove_tree(machine.base("tx", name))


def _stay() -> None:
    """The connection may go at any moment: finish all the same. Handlers, unlike SIG_IGN, are not inherited."""
    for number in (signal.SIGHUP, signal.SIGPIPE, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)


def main(arguments: list[str]) -> int:
    """Exit code 0 when a result was printed, whatever it says; 2 for a wrong call."""
    _stay()
    os.umask(0o077)
    if arguments == ["apply"]:
        job = read_job(sys.stdin.buffer.read())
        threading.Thread(target=_breathe, daemon=True).start()
        text = json.dumps(apply(Machine(job.test), job))
        with contextlib.suppress(OSError):
            print(text, flush=True)
        return 0
    if arguments[:1] == ["recover"]:
        test = json.loads(os.environ.get("EGOV_APPLY_TEST", "{}"))
        unconfirmed = arguments[2] if arguments[1:2] == ["--unconfirmed"] and len(arguments) == 3 else ""
        return _recover_command(Machine(test), "--boot" in arguments, unconfirmed)
    if arguments[:1] == ["confirm"] and len(arguments) == 2:
        return _confirm_command(Machine(json.loads(os.environ.get("EGOV_APPLY_TEST", "{}"))), arguments[1])
    usage = "usage: egov-apply apply < job | egov-apply confirm ID | egov-apply recover [--boot | --unconfirmed ID]"
    print(usage, file=sys.stderr)
    return 2


def _breathe() -> None:
    """An empty line now and then. It keeps alive a connection that a new firewall would take for an unknown one: seen
    from this host's side first, it is known again."""
    while True:
        time.sleep(2)
        with contextlib.suppress(OSError, ValueError):
            print(flush=True)


def _confirm_command(machine: Machine, job: str) -> int:
    with locked(machine) as ours:
        if not ours:
            print(json.dumps({"confirmed": False, "msg": "another apply is running"}))
            return 1
        try:
            found = confirm(machine, job)
        except (Fault, OSError, ValueError) as error:
            found = {"confirmed": False, "msg": str(error)}
    print(json.dumps(found))
    return 0 if found["confirmed"] else 1


def _recover_command(machine: Machine, boot: bool, unconfirmed: str = "") -> int:
    with locked(machine, wait=not boot) as ours:
        if not ours:
            return 0  # an apply is running right now: the journal is its own
        try:
            done = recover(machine, boot, unconfirmed)
        except (Fault, OSError) as error:
            print(f"egov-apply: {error}", file=sys.stderr)
            return 1
    if done:
        print(f"egov-apply: the interrupted change was {done}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
