"""What must be true before anything is made: one sentence for each thing that is not."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

from egovctl.errors import EgovError, UsageError
from egovctl.i18n import tr
from egovctl.lab.names import DISKS, IMAGES
from egovctl.lab.run import PATH, run
from egovctl.lab.state import Forward

PACKAGE_OF = {
    "mmdebstrap": "mmdebstrap",
    "apt-ftparchive": "apt-utils",
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "tc": "iproute2",
    "socat": "socat",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "setsid": "util-linux",
    "ssh-keygen": "openssh-client",
}
OS_RELEASE = Path("/etc/os-release")
IMAGE_MB = 1500
GUEST_MB = 60


def need_root() -> None:
    """Raises UsageError unless run as root."""
    if os.geteuid() != 0:
        raise UsageError(
            tr(
                "实验环境要建立网络命名空间和容器：请以 root 身份运行",
                "the lab makes network namespaces and containers: run this as root",
            )
        )


def need_tools() -> None:
    """Raises EgovError that names the apt packages to install."""
    missing = sorted({package for tool, package in PACKAGE_OF.items() if shutil.which(tool, path=PATH) is None})
    if missing:
        words = " ".join(missing)
        raise EgovError(
            tr(f"缺少工具：请运行 apt-get install {words}", f"tools are missing: run apt-get install {words}")
        )


def need_debian(os_release: Path = OS_RELEASE) -> None:
    """Raises EgovError unless the machine is Debian 12, whose packages the guests are made of."""
    fields: dict[str, str] = {}
    if os_release.is_file():
        for line in os_release.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition("=")
            fields[key] = value.strip('"')
    if (fields.get("ID"), fields.get("VERSION_ID")) != ("debian", "12"):
        name = fields.get("PRETTY_NAME", tr("未知系统", "unknown"))
        raise EgovError(
            tr(
                f"实验环境需要 Debian 12（本机是 {name}）：主机镜像取自本机的 apt 软件源",
                f"the lab needs Debian 12 (this is {name}): its hosts are made from the machine's own apt sources",
            )
        )


def need_ports(forwards: tuple[Forward, ...]) -> None:
    """Raises EgovError that names the port on 127.0.0.1 that something else listens at."""
    for forward in forwards:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", forward.port))
            except OSError:
                raise EgovError(
                    tr(
                        f"端口 127.0.0.1:{forward.port}（{forward.name}）已被占用：请释放它，或设置 EGOV_LAB_PORT_BASE",
                        f"port 127.0.0.1:{forward.port} ({forward.name}) is taken: free it, or choose others with "
                        "EGOV_LAB_PORT_BASE",
                    )
                ) from None


def need_disk(guests: int, image_exists: bool, disks: Path = DISKS, images: Path = IMAGES) -> None:
    """Raises EgovError when the image or the guests' disks would not fit, or disks cannot be cloned there."""
    for folder, megabytes in ((images, 0 if image_exists else IMAGE_MB), (disks, GUEST_MB * guests)):
        free = shutil.disk_usage(_existing(folder)).free // 1_000_000
        if free < megabytes:
            raise EgovError(
                tr(
                    f"{folder} 只剩 {free} MB，需要 {megabytes} MB：请腾出空间",
                    f"{folder} has {free} MB free and {megabytes} MB are needed: make room there",
                )
            )
    if run(["stat", "--file-system", "--format=%T", _existing(disks)]).stdout.strip() == "overlayfs":
        raise EgovError(
            tr(
                f"{disks} 在 overlayfs 上，不能再作主机磁盘：请在那里挂载一个普通文件系统",
                f"{disks} is on overlayfs, on which no host's disk can be cloned: mount an ordinary filesystem there",
            )
        )


def _existing(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that is there."""
    return next(path for path in (folder, *folder.parents) if path.is_dir())
