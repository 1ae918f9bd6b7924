"""The scratch against hostile content: an image with an escape kit, and kills at any moment.

A failure of the first kind means that a restored backup could reach the machine that restores it. One of the second
kind means that a killed drill leaves processes, mounts or cgroups behind.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from egovctl.drill.borg import ScratchFull, TookTooLong
from egovctl.drill.scratch import Limits, Scratch, container, end_left, record
from egovctl.drill.scratch.groups import hierarchies
from egovctl.errors import CannotMeasure
from egovctl.lab import image

KIT = Path(__file__).with_name("escape_kit.py")
SMALL = Limits(memory=192 << 20, disk=96 << 20, processes=48, seconds=120)
SYSTEM = Limits(memory=384 << 20, processes=128, seconds=180)
# These may succeed in a box, because what they change is the box's own; the machine is looked at afterwards.
OWN = {"programs": set(), "system": {"host name", "nested users"}}
# What the kernel of the machine does not have, or what would be no try outside: judged by the errno alone.
NOT_OUTSIDE = {
    "core_pattern in a fresh proc", "fork bomb", "memory hog", "disk filler", "kernel keys", "disk filler, at once",
    "module", "kexec", "clock", "handles", "bpf", "perf", "mem", "own limits", "machine's file through a link",
    "setuid helper",
}  # fmt: skip
# The refusals that count. EINVAL, EFAULT or ENOSYS would say that the kernel had looked at the arguments, or that
# there is nothing to look at: then the try was none.
REFUSED = {
    *("EPERM", "EACCES", "EROFS", "ENOENT", "ESRCH", "ECONNREFUSED", "ENETUNREACH", "EAGAIN", "ENOSPC", "ENOMEM"),
    *("EFBIG", "ENXIO"),
}

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="a scratch container needs root"),
]


@pytest.fixture(scope="module")
def root() -> Path:
    """The lab image's root: trusted programs, and the material of the hostile system."""
    return image.ensure(lambda text: None).root


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty folder that only root can reach."""
    tmp_path.chmod(0o700)
    made = tmp_path / "run"
    made.mkdir()
    yield made
    assert end_left(tmp_path)


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[dict[str, object]]:
    """What the kit shall reach: a process, sockets, a disk and a file of the machine; and facts about the machine."""
    mark = f"egov-sentinel-{os.getpid()}"
    sentinel = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1e6)", mark])
    listening = socket.create_server(("0.0.0.0", 0))
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind(f"\0{mark}")
    abstract.listen()
    disk = tmp_path / "disk"
    disk.write_bytes(b"")
    os.truncate(disk, 16 << 20)
    subprocess.run(["mkfs.ext4", "-q", disk], check=True)
    attach = ["losetup", "--find", "--show", str(disk)]
    device = subprocess.run(attach, capture_output=True, text=True, check=True).stdout.strip()
    number = Path(device).stat().st_rdev
    addresses = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=True).stdout.split()
    try:
        yield {
            "pid": sentinel.pid,
            "mark": mark,
            "port": listening.getsockname()[1],
            "abstract": mark,
            "address": addresses[0] if addresses else "127.0.0.1",
            "device": device,
            "kind": "ext4",
            "disk": [os.major(number), os.minor(number)],
            "secret": str(KIT),
            "group": "egov-scratch",
        }
        assert sentinel.poll() is None, "a process of the machine was killed"
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)
        disk.unlink()
        sentinel.kill()
        sentinel.wait()
        listening.close()
        abstract.close()


def machine() -> dict[str, object]:
    """What must be the same before and after. Labs of others may come and go meanwhile."""
    read = ("kernel/core_pattern", "kernel/hostname", "vm/overcommit_memory", "user/max_user_namespaces")
    points = (line.split(" ", 5)[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return {
        "settings": {name: Path("/proc/sys", name).read_text() for name in read},
        "mounts": sorted(point for point in points if not point.startswith(("/run/netns", "/run/egov-lab"))),
        "devices": sorted(path.name for path in Path("/dev").iterdir()),
        "groups": [str(path) for root in set(hierarchies().values()) for path in root.glob("egov-scratch/*")],
        "notes": [path.name for path in record.NOTES.iterdir()] if record.NOTES.is_dir() else [],
        "passwords": Path("/etc/passwd").read_bytes(),
    }


def judge(kind: str, said: dict[str, str], harmless: dict[str, str]) -> None:
    """No try of the kit has succeeded, and each was one."""
    escaped = {name: word for name, word in said.items() if word == "done" and name not in OWN[kind]}
    assert not escaped, f"these left the box: {escaped}"
    killed = {"memory hog": "ended"}  # the whole try is killed where its child is not alone
    odd = {
        name: word
        for name, word in said.items()
        if word not in REFUSED | {"done"} and not word.startswith(killed.get(name, "-"))
    }
    assert not odd, f"these were no tries: {odd}"
    kept_back = {name: word for name, word in harmless.items() if word != "done"}
    assert not kept_back, f"these fail outside as well, so they prove nothing: {kept_back}"


def outside_too(facts: dict[str, object], folder: Path) -> dict[str, str]:
    """The kit's harmless tries on the machine itself, where they succeed; those the kernel does not have left out."""
    absent = {
        "modprobe path": "/proc/sys/kernel/modprobe",
        "sysrq-trigger": "/proc/sysrq-trigger",
        "uevent_helper": "/sys/kernel/uevent_helper",
        "fuse": "/dev/fuse",
        "vsock": "/dev/vsock",
        "kmsg": "/dev/kmsg",
    }
    names = tries() - NOT_OUTSIDE - {name for name, path in absent.items() if not Path(path).exists()}
    if not any((root / "release_agent").exists() for root in hierarchies().values()):
        names.remove("release_agent")
    facts = {**facts, "folder": str(folder), "writable": str(folder), "helper": ""}
    argv = ["unshare", "--mount", "--uts", sys.executable, str(KIT), json.dumps(facts), *sorted(names)]
    return json.loads(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)


def tries() -> set[str]:
    text = KIT.read_text().split("TRIES = {")[1].split("\n}")[0]
    return {line.split('"')[1] for line in text.splitlines() if line.startswith('    "')}


def plant(tree: Path) -> None:
    """The kit, and a helper that would make anyone root."""
    shutil.copy(KIT, tree / "escape_kit.py")
    shutil.copy("/usr/bin/id", tree / "helper")
    (tree / "helper").chmod(0o4755)
    (tree / "link").symlink_to(KIT)


def test_programs_on_hostile_data_reach_nothing(folder: Path, root: Path, outside: dict[str, object]) -> None:
    harmless = outside_too(outside, folder.parent)
    before = machine()
    with Scratch.programs(folder, SMALL, root=root) as box:
        plant(folder)
        os.chown(folder / "helper", box.base, box.base)
        (folder / "helper").chmod(0o4755)
        (folder / "work").mkdir()
        box.owned(folder / "work", "nobody")
        facts = {
            **outside,
            "folder": "/data/work",
            "writable": "/data/work",
            "helper": "/data/helper",
            "processes": SMALL.processes,
            "memory": SMALL.memory * 2,
            "disk_octets": SMALL.disk * 2,
        }
        done = box.run(["/usr/bin/python3", "/data/escape_kit.py", json.dumps(facts)], timeout=90)
        assert done.returncode == 0, done.stderr.decode()
        said = json.loads(done.stdout)
        assert set(said) == tries()
        assert box.run(["id", "-u"]).stdout == b"65534\n", "the box is of use after all that"
    judge("programs", said, harmless)
    assert machine() == before


def test_a_restored_system_reaches_nothing(folder: Path, root: Path, outside: dict[str, object]) -> None:
    """As root of the system, started by its own systemd: with all that its PID 1 may do."""
    harmless = outside_too(outside, folder.parent)
    before = machine()
    with Scratch.room(folder, 1 << 30):
        tree = folder / "tree"
        subprocess.run(["cp", "-a", str(root), str(tree)], check=True)
        plant(tree)
        (tree / "kit").mkdir()
        facts = {
            **outside,
            "folder": "/kit",
            "writable": "/kit",
            "helper": "/helper",
            "processes": SYSTEM.processes,
            "memory": SYSTEM.memory * 2,
            "disk_octets": 1 << 30,
        }
        unit = "[Unit]\nDescription=kit\n[Service]\nType=oneshot\nTasksMax=infinity\nExecStart=/bin/sh /kit.sh\n"
        (tree / "etc/systemd/system/kit.service").write_text(unit)
        script = f"cat > /kit/facts <<'END'\n{json.dumps(facts)}\nEND\n"
        script += 'exec /usr/bin/python3 /escape_kit.py "$(cat /kit/facts)" > /kit/said\n'
        (tree / "kit.sh").write_text(script)
        with Scratch.system(tree, SYSTEM) as box:
            wait_for(lambda: box.run(["systemctl", "is-system-running"]).stdout.strip() in (b"running", b"degraded"))
            done = box.run(["systemctl", "start", "kit.service"], timeout=120)
            assert done.returncode == 0, box.run(["systemctl", "status", "kit.service"]).stdout.decode()
            said = json.loads((tree / "kit/said").read_text())
            entered = box.run(["/usr/bin/python3", "/escape_kit.py", json.dumps(facts)], timeout=120)
            assert entered.returncode == 0, entered.stderr.decode()
            # Everybody that it can see: the box ends, nobody outside does (the sentinel is looked at by its fixture).
            box.start(["sh", "-c", "kill -9 -1"])
    assert set(said) == tries()
    judge("system", said, harmless)
    judge("system", json.loads(entered.stdout), harmless)
    assert machine() == before


def test_a_second_setuid_helper_on_the_machine_gains_nothing(folder: Path, root: Path) -> None:
    """The room itself: what a box's root makes setuid there is nobody's on the machine, and cannot be reached."""
    with Scratch.room(folder, 64 << 20):
        plant(folder)
        assert as_nobody(f"{folder}/helper -u", "/").returncode == 126, "it cannot be reached"
        folder.parent.chmod(0o755)
        assert as_nobody("./helper -u", folder).stdout == "65534\n", "and would gain nothing"
        folder.parent.chmod(0o700)
        inside = subprocess.run(["findmnt", "-no", "OPTIONS", str(folder)], capture_output=True, text=True, check=True)
        assert {"nosuid", "nodev"} <= set(inside.stdout.strip().split(","))
    plain = Path("/tmp") / f"egov-helper-{os.getpid()}"
    shutil.copy("/usr/bin/id", plain)
    plain.chmod(0o4755)
    try:
        assert as_nobody(f"{plain} -u", "/").stdout == "0\n", "the helper is a real one: on a plain disk it makes root"
    finally:
        plain.unlink()


def as_nobody(command: str, where: Path | str) -> subprocess.CompletedProcess[str]:
    """A command of a user of the machine; the folder is entered by root."""
    who = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--", "sh", "-c", command]
    return subprocess.run(who, capture_output=True, text=True, check=False, cwd=where)


WHERE_NOTHING_RAN = """
mount -t tmpfs tmpfs /run && mkdir /run/staging && mount --make-rprivate /
exec "$1" -c 'from egovctl.drill.scratch.launch import stage
stage("/run/staging", {})
print(*(line.split()[3] for line in open("/proc/self/mountinfo") if line.split()[4] == "/run/systemd/nspawn"))'
"""


def test_where_no_container_ever_ran_a_box_sees_nothing_of_the_machine_either() -> None:
    """systemd-nspawn would make its folder of notes on the machine's /run, and show it."""
    command = ["unshare", "--mount", "--pid", "--fork", "sh", "-ec", WHERE_NOTHING_RAN, "sh", sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["/nspawn"], done.stderr


def test_limits_of_time_and_output(folder: Path, root: Path) -> None:
    with Scratch.programs(folder, Limits(memory=128 << 20, disk=32 << 20, seconds=15), root=root) as box:
        with pytest.raises(TookTooLong):
            box.run(["sleep", "60"], timeout=0.5)
        with pytest.raises(CannotMeasure, match="too much"):
            box.run(["cat", "/dev/zero"])
        begun = time.monotonic()
        with pytest.raises(CannotMeasure):
            box.run(["sleep", "120"], timeout=120)
        assert time.monotonic() - begun < 60
        with pytest.raises(CannotMeasure):
            box.run(["true"])


def test_what_is_too_small_or_reachable_is_refused(folder: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ScratchFull, match="too small"), Scratch.room(folder, 1 << 60):
        pytest.fail("a room larger than the machine")
    with pytest.raises(CannotMeasure, match="too little memory"), Scratch.programs(folder, Limits(memory=1 << 50)):
        pytest.fail("more memory than the machine has")
    with monkeypatch.context() as patch:  # a profile with the machine's network: it must not be used
        profile = container.profile
        patch.setattr(
            container, "profile", lambda *how: [word for word in profile(*how) if word != "--private-network"]
        )
        refused = pytest.raises(CannotMeasure, match="not closed off: net namespace")
        with refused, Scratch.programs(folder, SMALL, root=root):
            pytest.fail("a box in the machine's network")
    with monkeypatch.context() as patch:
        patch.setattr(container, "profile", lambda *how: [*profile(*how), "--bind=/etc:/var"])
        refused = pytest.raises(CannotMeasure, match="of the machine at /var")
        with refused, Scratch.programs(folder, SMALL, root=root):
            pytest.fail("a box with a folder of the machine")
    open_to_all = Path("/tmp") / f"egov-open-{os.getpid()}"
    open_to_all.mkdir()
    try:
        with pytest.raises(CannotMeasure, match="0700"), Scratch.room(open_to_all, 32 << 20):
            pytest.fail("a room that others can enter")
    finally:
        open_to_all.rmdir()
    assert not list(folder.parent.glob(".*disk"))


USER = """
import sys, time
from pathlib import Path
from egovctl.drill.scratch import Limits, Scratch
folder, root = Path(sys.argv[1]), Path(sys.argv[2])
while True:
    with Scratch.programs(folder, Limits(memory=128 << 20, disk=64 << 20), root=root) as box:
        print("up", flush=True)
        box.start(["sleep", "1000"])
        box.run(["sleep", "0.1"])
"""


def test_killed_at_any_moment_nothing_stays(folder: Path, root: Path) -> None:
    """Twelve moments of a life, from the first file to the last: processes are gone at once, the rest by end_left."""
    before = machine()
    random.seed(5)
    for number in range(12):
        process = subprocess.Popen([sys.executable, "-c", USER, str(folder), str(root)], stdout=subprocess.PIPE)
        if number:  # the first is killed in its very beginning
            assert process.stdout and process.stdout.readline() == b"up\n"
        time.sleep(random.uniform(0, 0.8))
        process.send_signal(signal.SIGKILL)
        process.wait()
        wait_for(lambda: not processes_of(folder))
        assert end_left(folder.parent)
        assert end_left(folder.parent), "a second time does no harm"
        assert machine() == before
        assert [path.name for path in folder.parent.iterdir()] == ["run"]
        assert not any(folder.iterdir())


MANY = """
import sys
from pathlib import Path
from egovctl.drill.scratch import Limits, Scratch
folder, root = Path(sys.argv[1]), Path(sys.argv[2])
for number in range(10):
    with Scratch.programs(folder, Limits(memory=128 << 20, disk=64 << 20), root=root) as box:
        assert box.run(["echo", str(number)]).stdout == b"%d\\n" % number
"""


def test_boxes_of_several_drills_begin_and_end_at_the_same_moment(folder: Path, root: Path) -> None:
    """None takes a mount point or a note from another: thirty boxes of three drills all run."""
    places = [folder / f"drill-{number}" for number in range(3)]
    drills = []
    for place in places:
        place.mkdir()
        argv = [sys.executable, "-c", MANY, str(place), str(root)]
        drills.append(subprocess.Popen(argv, stderr=subprocess.PIPE, text=True))
    said = [drill.communicate(timeout=120)[1] for drill in drills]
    assert [drill.returncode for drill in drills] == [0, 0, 0], said


def processes_of(folder: Path) -> list[str]:
    """Command lines of processes that have to do with the folder or a box."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if str(folder) in words or "egov-agent" in words:
            found.append(words)
    return found


def wait_for(condition, seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            pytest.fail("it did not happen in time")
        time.sleep(0.05)
