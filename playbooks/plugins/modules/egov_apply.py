"""Documentation only: the work is done by the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: egov_apply
short_description: Bring a host to its rendered manifest in one transaction
version_added: 0.1.0
description:
  - Compares files, folders, units and sysctls with C(build/<inventory>/<host>/manifest.json) by one plain command.
  - Equal means done. Otherwise sends only what differs, validates it there, swaps it in under a journal, and runs the
    affected units' actions in order.
  - If any step fails the host is put back as it was. An interrupted transaction is finished or undone at boot, or by
    the next apply.
  - Files that were not written by us are never overwritten, unless they are as their package made them, or O(adopt)
    is set.
options:
  bundles:
    description: Only these bundles of the manifest; all of them when not given or empty.
    type: list
    elements: str
  adopt:
    description: Replace files that somebody else wrote; the originals are kept under C(/var/lib/egov/original).
    type: bool
    default: false
  confirm_seconds:
    description:
      - What can cut the host off (bundles with C(confirm)) is put back by the host itself unless a new connection in
        band reaches it within so many seconds. 0 for no such wait, as at first contact.
    type: float
    default: 45
  need:
    description:
      - Hosts whose routing sessions must be up before this one is changed; the other core, say.
      - They are asked only when there is something to change.
    type: list
    elements: str
  prove:
    description: >-
      Whether M(egov_prove) is to follow: from before the first change until a good proof the host counts as unproven,
      in this run and in later ones.
    type: bool
    default: false
attributes:
  check_mode:
    description: Reports exactly what would change, and writes nothing on the host. Validators are not asked.
    support: full
  diff_mode:
    description: Shows what would change; placeholders stand for secrets.
    support: full
author: The suite's authors
"""

EXAMPLES = r"""
- name: Apply the whole manifest
  egov_apply:

- name: Apply the firewall alone, and take over what is there
  egov_apply:
    bundles: [nftables]
    adopt: true
"""

RETURN = r"""
unproven:
  description: Whether the host was changed, now or in an earlier run, and has not been proven well since.
  returned: success
  type: bool
files:
  description: Paths of the files that were written.
  returned: success
  type: list
  elements: str
folders:
  description: Paths of the folders that were made or set right.
  returned: success
  type: list
  elements: str
units:
  description: Units that were enabled, disabled, started or stopped.
  returned: success
  type: list
  elements: str
sysctls:
  description: Kernel settings that were set.
  returned: success
  type: list
  elements: str
removed:
  description: Paths that were removed, or given back their package's file.
  returned: success
  type: list
  elements: str
actions:
  description: Reloads, restarts and commands, in the order in which they ran.
  returned: success
  type: list
  elements: str
why:
  description: For each name above, in what it differed.
  returned: success
  type: dict
rolled_back:
  description: After a failure, whether the host is as it was before.
  returned: failure
  type: bool
stage:
  description: After a failure, the step that failed.
  returned: failure
  type: str
recovered:
  description: What was done with an interrupted transaction that was found.
  returned: when there was one
  type: str
t_probe:
  description: Seconds that the comparison took.
  returned: always
  type: float
"""
