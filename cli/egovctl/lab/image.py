"""The image that all guests are clones of, and the repository of the same packages beside it. Built once, then cached.

Layout of /var/cache/egov-lab/image-<hash>/: root/ (the system), packages/ (its .debs and their index), build.log.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from egovctl.errors import EgovError
from egovctl.i18n import tr
from egovctl.lab import machine, sources, state
from egovctl.lab.names import IMAGES, PACKAGES_IN_GUEST, LabNames
from egovctl.lab.run import dies_with_parent, environment, readable_by_all, run
from egovctl.lab.runner import data_file

BUILD_VERSION = 1  # raise it when this file builds something else from the same definition
BUILD_SECONDS = 1800
UNUSED_DAYS = 14
Say = Callable[[str], None]


@dataclass(frozen=True)
class Image:
    """A built image; `hash` names its definition."""

    hash: str

    @property
    def folder(self) -> Path:
        return IMAGES / f"image-{self.hash}"

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def packages(self) -> Path:
        return self.folder / "packages"

    @property
    def exists(self) -> bool:
        """A folder under its final name is complete: it gets that name last."""
        return self.folder.is_dir()


def defined() -> Image:
    """The image that the files in egovctl/lab/files/ describe, built or not."""
    digest = hashlib.sha256(f"{BUILD_VERSION} {sources.CODENAME}".encode())
    for name in ("packages.txt", "lab_only.yml"):
        digest.update(data_file(name).read_bytes())
    return Image(digest.hexdigest()[:12])


def package_list() -> list[str]:
    """The packages by name, comments left out."""
    lines = data_file("packages.txt").read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def lab_only() -> dict[str, Any]:
    """What makes the image differ from plain Debian, with the reasons."""
    loaded: dict[str, Any] = yaml.safe_load(data_file("lab_only.yml").read_text(encoding="utf-8"))
    return loaded


def ensure(say: Say) -> Image:
    """The image, built if it is not there. Two who build at once wait for each other. Raises EgovError with the log."""
    image = defined()
    if not image.exists:
        busy = tr("另一个 egovctl 正在制作镜像", "another egovctl is building the image")
        with state.locked(IMAGES / ".lock", wait=BUILD_SECONDS, busy=busy, say=say):
            if not image.exists:
                with readable_by_all():
                    _build(image, say)
    image.folder.touch()
    return image


def _build(image: Image, say: Say) -> None:
    for stale in IMAGES.glob("build-*"):  # of a build that was killed; nobody else builds while we hold the lock
        shutil.rmtree(stale)
    work = Path(tempfile.mkdtemp(prefix="build-", dir=IMAGES))
    work.chmod(0o755)
    try:
        _bootstrap(work, say)
        say(tr("建立软件包仓库", "indexing the packages"))
        _index(work)
        _adapt(work / "root")
    except BaseException:
        keep = IMAGES / "failed-build.log"
        if (work / "build.log").exists():
            (work / "build.log").replace(keep)
        shutil.rmtree(work, ignore_errors=True)
        raise
    work.rename(image.folder)
    _prune(image)


def _bootstrap(work: Path, say: Say) -> None:
    """mmdebstrap from the machine's own sources. The whole process tree dies with us: no orphan, no mount stays."""
    (work / "debian.sources").write_text(sources.debian_sources(), encoding="utf-8")
    argv = ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "--"]
    argv += ["mmdebstrap", "--mode=root", "--variant=apt", "--include=" + ",".join(package_list())]
    argv += ["--skip=essential/unlink,cleanup/apt,cleanup/reproducible", '--aptopt=APT::Sandbox::User "root"']
    argv += [f"--aptopt={option.rstrip(';')}" for option in sources.fetching_options()]
    argv += [f"--dpkgopt=path-exclude={pattern}" for pattern in lab_only()["excluded"]]
    argv += [sources.CODENAME, str(work / "root"), str(work / "debian.sources")]
    deadline = time.monotonic() + BUILD_SECONDS
    with (work / "build.log").open("w+", encoding="utf-8", errors="replace") as log:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment(DEBIAN_FRONTEND="noninteractive"),
            preexec_fn=dies_with_parent(),
            start_new_session=True,
        )
        try:
            while process.poll() is None and time.monotonic() < deadline:
                say(_last_step(work / "build.log"))
                time.sleep(0.3)
        finally:
            process.kill()
            process.wait()
    if process.returncode:
        why, log_kept = _why(work / "build.log"), IMAGES / "failed-build.log"
        raise EgovError(
            tr(f"镜像制作失败：{why}；详见 {log_kept}", f"the image could not be built: {why}; see {log_kept}")
        )


def _last_step(log: Path) -> str:
    steps = [
        line[3:] for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.startswith("I: ")
    ]
    return steps[-1] if steps else "mmdebstrap"


def _why(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    errors = [line for line in lines if line.startswith("E:")]
    return (errors or lines or [tr("没有输出", "no output")])[0].removeprefix("E: ")


def _index(work: Path) -> None:
    """Move the .debs that were downloaded for the image beside it, and make them a repository."""
    packages = work / "packages"
    packages.mkdir(mode=0o755)
    for deb in (work / "root" / "var/cache/apt/archives").glob("*.deb"):
        deb.rename(packages / deb.name)
    index = run(["sh", "-ec", 'cd "$1" && apt-ftparchive packages .', "sh", packages], timeout=300).stdout
    if "Package: " not in index:
        raise EgovError(
            tr(
                f"{packages} 中没有留下软件包：apt 删除了下载的文件；请检查 DPkg::Post-Invoke",
                f"no package was kept in {packages}: apt deletes what it downloads; look for DPkg::Post-Invoke",
            )
        )
    (packages / "Packages").write_text(index, encoding="utf-8")
    release = run(["sh", "-ec", 'cd "$1" && apt-ftparchive release .', "sh", packages], timeout=300).stdout
    (packages / "Release").write_text(release, encoding="utf-8")


def _adapt(root: Path) -> None:
    """Make a fresh server's disk of it: no identity, nothing enabled that the playbooks enable, the lab's few files."""
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    (root / "etc/machine-id").write_text("")
    (root / "var/lib/dbus/machine-id").unlink(missing_ok=True)
    (root / "etc/hostname").unlink(missing_ok=True)
    for folder in ("etc/apt/sources.list.d", "etc/apt/apt.conf.d"):
        for path in (root / folder).glob("*"):
            if "mmdebstrap" in path.name or path.name.endswith((".list", ".sources")) or "debian" in path.name:
                path.unlink()
    shutil.rmtree(root / "var/lib/apt/lists")
    (root / "var/lib/apt/lists/partial").mkdir(parents=True)
    definition = lab_only()
    for item in definition["files"]:
        path = root / item["path"].lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# Lab only. {item['reason'].strip()}\n{item['content']}", encoding="utf-8")
    for path in definition["removed"]:
        shutil.rmtree(root / path.lstrip("/"))
    for path in definition["sparse"]:
        run(["fallocate", "--dig-holes", root / path.lstrip("/")])
    systemctl = ["systemctl", f"--root={root}", "--quiet"]
    run([*systemctl, "disable", *definition["disabled"]])
    run([*systemctl, "mask", *definition["masked"]])
    run([*systemctl, "enable", "ssh.service", "egov-host-key.service"])
    run([*systemctl, "set-default", "multi-user.target"])
    _update_lists(root)


def _update_lists(root: Path) -> None:
    """`apt-get update` once in the image, so that no guest needs it before the first install."""
    mount_point = root / PACKAGES_IN_GUEST.lstrip("/")
    mount_point.mkdir(parents=True, exist_ok=True)
    script = 'mount --bind "$1" "$2" && chroot "$3" apt-get -q update && chroot "$3" apt-get clean'
    arguments = [str(root.parent / "packages"), str(mount_point), str(root)]
    argv = ["unshare", "--mount", "sh", "-ec", script, "sh", *arguments]
    run(argv, timeout=300, DEBIAN_FRONTEND="noninteractive")


def _prune(newest: Image) -> None:
    """Drop images that no lab uses and nobody has used for two weeks."""
    used = {newest.hash}
    for inventory in machine.labs():
        if (record := state.load(LabNames(inventory))) is not None:
            used.add(record.image)
    for folder in IMAGES.glob("image-*"):
        if (
            folder.name.removeprefix("image-") not in used
            and time.time() - folder.stat().st_mtime > UNUSED_DAYS * 86400
        ):
            shutil.rmtree(folder, ignore_errors=True)
