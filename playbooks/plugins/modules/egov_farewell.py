"""Documentation only: the work is done by the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: egov_farewell
short_description: The last visit to a host that is retired
version_added: 0.1.0
description:
  - Gives back every file, unit and kernel setting that the transaction set, and removes the keys that the host made.
  - Logins, firewall, tunnels and routing go last, by a unit of the host's own; then nobody gets in any more, which is
    waited for. If the host cannot take them back, it stays as it was and the task fails with its words.
options: {}
attributes:
  check_mode:
    description: It only says what it would take back first.
    support: full
  diff_mode:
    support: none
author: The suite's authors
"""

EXAMPLES = r"""
- name: Take back units, files, keys and the way in
  egov_farewell:
"""

RETURN = r"""
removed:
  description: Files and folders that are gone or as they were before the suite came.
  returned: success
  type: list
  elements: str
units:
  description: Units that are in their earlier state.
  returned: success
  type: list
  elements: str
secrets:
  description: What was removed that no manifest lists.
  returned: success
  type: list
  elements: str
"""
