"""Documentation only: the work is done by the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: egov_wave
short_description: Whether the wave before is well
version_added: 0.2.0
description:
  - Fails when the role C(transaction) failed on one of the hosts earlier in this run.
  - A host that did not answer is not counted; it was not changed.
options:
  hosts:
    description: The hosts of the waves before.
    type: list
    elements: str
    required: true
attributes:
  check_mode:
    description: It only looks at what this run knows.
    support: full
  diff_mode:
    support: none
author: The suite's authors
"""

EXAMPLES = r"""
- name: Go on only if the department is well
  egov_wave:
    hosts: "{{ groups['wave_department'] }}"
  run_once: true
"""

RETURN = r""" # """
