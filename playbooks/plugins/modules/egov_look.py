"""Documentation only: the work is done by the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: egov_look
short_description: Which hosts are as planned already
version_added: 0.1.0
description:
  - Asks all hosts at once, each by one plain command that only reads, over connections that later tasks use too.
  - A host is the same when nothing of its manifest differs or is missing, and what its roles do beside that is done.
  - A host that cannot be asked, or says something odd, counts as differing; M(egov_apply) then tells what it is.
options:
  hosts:
    description: The hosts to ask.
    type: list
    elements: str
    required: true
  bundles:
    description: Only these bundles of the manifest; all of them when not given or empty.
    type: list
    elements: str
attributes:
  check_mode:
    description: It only looks.
    support: full
  diff_mode:
    support: none
author: The suite's authors
"""

EXAMPLES = r"""
- name: See who differs from the plan
  egov_look:
    hosts: "{{ ansible_play_hosts_all }}"
  run_once: true
  register: transaction_look
"""

RETURN = r"""
same:
  description: Hosts that are as planned.
  returned: success
  type: list
  elements: str
differing:
  description: All others.
  returned: success
  type: list
  elements: str
"""
