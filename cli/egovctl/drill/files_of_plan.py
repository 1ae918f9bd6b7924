"""Where the plan's file backups are: the method restore-files finds a service's repository and restores from it."""

from __future__ import annotations

from egovctl import transport
from egovctl.checks.context import Context
from egovctl.drill.borg import Repository
from egovctl.drill.judging import failed, promised
from egovctl.drill.model import Item, Target, Work
from egovctl.drill.phases import Timer
from egovctl.drill.restore_files import PROOF, restore_files
from egovctl.errors import CannotMeasure, UsageError
from egovctl.i18n import told, tr
from egovctl.plan import Service
from egovctl.secrets import Secrets

REPOSITORIES = "/srv/borg"
ENGINE = "borg"


class RestoreFiles:
    """Restores from borg repositories on the backup node; never touches the live host or the repository's content."""

    def targets(self, context: Context, services: tuple[str, ...]) -> list[Target]:
        """Every service with a borg backup on each of its hosts, or only `services`."""
        return targets_of(context, (ENGINE,), services)

    def steps(self, context: Context, target: Target) -> list[dict[str, str]]:
        """What would be done."""
        service = context.service(target.service)
        where, paths = f"{backup_node(context)}:{REPOSITORIES}/{target.host}", " ".join(_paths(service))
        return [
            {
                "zh": f"在 {where} 找到 {target} 的最近一次备份",
                "en": f"find the latest backup of {target} in {where}",
            },
            {"zh": f"把 {paths} 恢复到临时目录", "en": f"restore {paths} into the scratch"},
            {
                "zh": "逐个文件与备份时的清单比对",
                "en": "compare every file with the manifest taken at backup time",
            },
            {
                "zh": f"与承诺比较：RTO {service.rto} 秒，RPO {service.rpo} 秒",
                "en": f"compare with the promise: RTO {service.rto} s, RPO {service.rpo} s",
            },
            {"zh": "删除临时目录", "en": "remove the scratch"},
        ]

    def rehearse(self, work: Work, target: Target) -> Item:
        """Restore and judge one target."""
        promise = promised(work, target)
        try:
            repository = repository_of(work.context, target.host)
        except CannotMeasure as error:
            return failed(target, promise, Timer(), error)
        paths = _paths(work.context.service(target.service))
        return restore_files(repository, target, paths, promise, work.folder, work.progress, PROOF)


def targets_of(context: Context, engines: tuple[str, ...], services: tuple[str, ...]) -> list[Target]:
    """Every service that one of these engines backs up, on each of its hosts, or only `services`.

    UsageError for another one.
    """
    known = {service.name: service for service in context.plan.services}
    for name in services:
        if name not in known:
            has = ", ".join(known)
            raise UsageError(
                tr(
                    f"规划中没有服务 {name}；其中有：{has}",
                    f"service {name} is not in the plan; it has: {has}",
                )
            )
        backup = known[name].backup
        if backup is None:
            raise UsageError(
                tr(
                    f"规划中服务 {name} 没有备份，因此无可恢复",
                    f"service {name} has no backup in the plan, so there is nothing to restore",
                )
            )
        if backup.engine not in engines:
            restored = ", ".join(engines)
            raise UsageError(
                tr(
                    f"规划中服务 {name} 用 {backup.engine} 备份，本演练只恢复 {restored} 的备份",
                    f"service {name} is backed up by {backup.engine}; this drill restores what {restored} backs up",
                )
            )
    return [
        Target(service.name, host)
        for service in known.values()
        if service.backup and service.backup.engine in engines and (not services or service.name in services)
        for host in context.city.backed_up(service.hosts)
    ]


def repository_of(context: Context, host: str) -> Repository:
    """A host's repository on the backup node, reached with control's restore key; CannotMeasure without a secret."""
    passphrase = Secrets(context.inventory).get(f"borg_passphrase_{host}")
    location = f"ssh://{backup_node(context)}-borg{REPOSITORIES}/{host}"
    if not context.inventory.ssh_config.is_file():
        raise transport.not_rendered(context.inventory, context.inventory.ssh_config)
    ssh = ("ssh", *transport.ssh_options(context.inventory))
    return Repository(location, passphrase, context.inventory.state / "borg", ssh)


def backup_node(context: Context) -> str:
    """The host that keeps the backups; CannotMeasure when the plan has none."""
    for host in context.city.hosts.values():
        if host.role == "backup":
            return host.name
    raise CannotMeasure(told("规划中没有备份节点", "the plan has no backup node"))


def _paths(service: Service) -> tuple[str, ...]:
    return service.backup.paths if service.backup else ()
