"""The drift collector: what on a host is not as it was rendered. The apply's own look, and where that tells of a
difference the apply itself, which names it and changes nothing."""

from __future__ import annotations

from typing import Any

from egovctl import transport
from egovctl.apply import prepare
from egovctl.apply.enrolment import read_record
from egovctl.apply.look import same_as_built
from egovctl.apply.manifest import Manifest
from egovctl.apply.transaction import Answer, Request, Shell, apply_host
from egovctl.checks.collect.base import Facts, Observed
from egovctl.checks.collect.base import Request as Wanted
from egovctl.checks.context import Context
from egovctl.checks.model import NotApplicable
from egovctl.errors import CannotMeasure
from egovctl.i18n import told
from egovctl.secrets import Secrets

HOST_SECONDS = 60


def collect(context: Context, requests: list[Wanted]) -> list[Observed]:
    """Facts for each request's hosts; a host that does not answer gives its exception, the others go on."""
    hosts = dict.fromkeys(host for request in requests for host in request.subjects)
    answers: dict[str, Facts] = {**transport.each(hosts, lambda host: _look(context, host))}
    return [{host: answers[host] for host in request.subjects} for request in requests]


def _look(context: Context, host: str) -> dict[str, Any]:
    inventory = context.inventory
    manifest = Manifest.load(inventory.build, host)
    if manifest.plan_revision != context.city.plan_revision:
        raise CannotMeasure(
            told(
                f"{host}：规划在上次生成之后改过；请先应用 site.yml",
                f"{host}: the plan was changed after it was rendered; apply site.yml first",
            )
        )
    if not (manifest.files or manifest.units):
        raise NotApplicable("规划的 manage 未为其选择任何内容", "the plan's manage leaves nothing on it to compare")
    planned = {"files": len(manifest.files), "items": len(manifest.files) + len(manifest.units)}
    if same_as_built(inventory, manifest):
        return {"planned": planned, "seen": {"items": []}}
    shell = _shell(context, host)
    wanted = prepare.wanted_of(manifest)
    lacking = prepare.missing(host, wanted, shell("/bin/sh -s", prepare.command(wanted).encode()).stdout)
    key = read_record(inventory, host).get("ssh_host_ed25519", "")
    found = apply_host(Request(inventory.build, host, Secrets(inventory).get, check=True, host_key=key), shell)
    items = [f"package {name}: missing" for name in lacking.packages]
    items += [f"user {name}: missing" for name in lacking.users]
    items += [f"{name}: {why}" for name, why in sorted(found["why"].items())]
    items += [f"{name}: not planned" for name in found["removed"] if name not in found["why"]]
    if found["changed"] and not items:
        items = ["an interrupted apply"]
    return {"planned": planned, "seen": {"items": items}}


def _shell(context: Context, host: str) -> Shell:
    def run(command: str, data: bytes) -> Answer:
        done = transport.run(context.inventory, host, ["sh", "-c", command], input=data, timeout=HOST_SECONDS)
        return Answer(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))

    return run
