"""Sample documents and databases, so that backups and restores in the lab have something to prove.

The same at every first boot.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from egovctl.lab.guest import put
from egovctl.lab.image import Image
from egovctl.lab.names import LabNames
from egovctl.lab.runner import data_file
from egovctl.plan import Plan

DOCUMENTS = 200
SEEDS = "/var/lib/egov/seed"  # where the databases' roles look for the first content of a service's
SEEDED = ("postgresql", "mariadb")
DATA_FOLDERS = ("/srv/", "/home/")  # elsewhere, as in /etc, the host's own files are the data
SUBJECTS = (("通知", "notice"), ("请示", "request"), ("报告", "report"), ("批复", "reply"), ("会议纪要", "minutes"))


def seeded_paths(plan: Plan, host: str) -> list[str]:
    """The folders under which this host keeps documents of a service that is backed up."""
    paths = [
        path
        for service in plan.services
        if service.backup is not None and host in service.hosts
        for path in service.backup.paths
    ]
    return sorted({path for path in paths if path.startswith(DATA_FOLDERS)})


def seed(names: LabNames, image: Image, host: str, folder: str) -> int:
    """Write the documents of one folder on the host's disk, before it boots; return how many."""
    for number in range(1, DOCUMENTS + 1):
        name, text = document(host, folder, number)
        put(names, image, host, str(Path(folder) / name), text, mode=0o640)
    return DOCUMENTS


def seed_databases(names: LabNames, image: Image, host: str, plan: Plan) -> list[str]:
    """Leave the first content of the host's databases on its disk, before it boots; return their services' names."""
    chosen = [
        service
        for service in plan.services
        if service.backup is not None and service.backup.engine in SEEDED and host in service.hosts
    ]
    for service in chosen:
        assert service.backup is not None  # noqa: S101 - chosen above
        text = data_file(f"seed_{service.backup.engine}.sql").read_text(encoding="utf-8")
        put(names, image, host, f"{SEEDS}/{service.name}.sql", text, mode=0o600)
    return [service.name for service in chosen]


def document(host: str, folder: str, number: int) -> tuple[str, str]:
    """Relative path and text of one document, between 0.3 and 9 KB, made from its number alone."""
    digest = hashlib.sha256(f"{host} {folder} {number}".encode()).hexdigest()
    chinese, english = SUBJECTS[number % len(SUBJECTS)]
    year, month = 2020 + number % 6, 1 + number % 12
    head = f"{host}〔{year}〕{number} 号　{chinese} / {english}\n{year}-{month:02d}\n\n"
    body = "".join(
        f"第{line}条　{digest} sample paragraph {line} of {number}\n" for line in range(1, 3 + number * 7 % 97)
    )
    return f"{year}/{month:02d}/{english}-{number:04d}.txt", head + body
