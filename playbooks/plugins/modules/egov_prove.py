"""Documentation only: the work is done by the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: egov_prove
short_description: Whether hosts work as planned, right after a change
version_added: 0.2.0
description:
  - Runs the checks C(units-active) and C(neighbours-up) on the hosts until they are good or the time is up.
  - Sessions with departments, towns and mobile nodes do not count, which may be switched off; those towards hubs and
    cores do.
options:
  hosts:
    description: The hosts to ask.
    type: list
    elements: str
    required: true
  checks:
    description: The checks that must be good. By default C(units-active) and C(neighbours-up).
    type: list
    elements: str
  seconds:
    description: How long they have.
    type: float
    default: 40
attributes:
  check_mode:
    description: It only looks.
    support: full
  diff_mode:
    support: none
author: The suite's authors
"""

EXAMPLES = r"""
- name: Prove what was changed
  egov_prove:
    hosts: ["{{ inventory_hostname }}"]
"""

RETURN = r""" # """
