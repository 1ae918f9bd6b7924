"""Documentation only: the work is done by the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: egov_enrol
short_description: Make the deploy user and the host's own keys
version_added: 0.1.0
description:
  - Makes C(egov-deploy) with control's key and its sudo rights, and the host's key for backups.
  - Writes the public halves to C(inventories/<city>/enrolled/<host>.yml). Private halves never leave the host.
options: {}
attributes:
  check_mode:
    description: Reports what is missing and changes nothing.
    support: full
  diff_mode:
    support: none
author: The suite's authors
"""

EXAMPLES = r"""
- name: Make the deploy user and the host's keys
  egov_enrol:
"""

RETURN = r"""
changes:
  description: What was made on the host.
  returned: success
  type: list
  elements: str
recorded:
  description: Whether the host's record on control changed.
  returned: success
  type: bool
"""
