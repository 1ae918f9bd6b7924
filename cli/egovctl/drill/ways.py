"""The repositories on the backup node over control's several keys: what each may do there is the node's to say."""

from __future__ import annotations

from egovctl import transport
from egovctl.checks.context import Context
from egovctl.drill.borg import Repository
from egovctl.drill.files_of_plan import REPOSITORIES, backup_node
from egovctl.secrets import Secrets

CONTROL = "control"  # whose repository is control's own, whatever the host is called
STATE_SERVICE = "suite-state"  # what is in it


def way_to(context: Context, host: str, way: str) -> Repository:
    """A host's repository: `borg` reads, `state` appends to control's own, `retention` deletes.

    CannotMeasure without its passphrase. What borg remembers of it is kept for each way: the same repository under
    another name would be refused, and so would be an older state than was seen there.
    """
    passphrase = Secrets(context.inventory).get(f"borg_passphrase_{host}")
    if not context.inventory.ssh_config.is_file():
        raise transport.not_rendered(context.inventory, context.inventory.ssh_config)
    ssh = ("ssh", *transport.ssh_options(context.inventory))
    location = f"ssh://{backup_node(context)}-{way}{REPOSITORIES}/{host}"
    return Repository(location, passphrase, context.inventory.state / "borg-ways" / way, ssh)
