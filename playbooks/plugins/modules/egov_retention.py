"""Documentation only: the work is done by the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: egov_retention
short_description: Let old archives of a host's repository go
version_added: 0.1.0
description:
  - Compares the archives of the host's repository with the register in control's evidence; fails with a sentence when
    one is missing or strange, or when borg finds the repository damaged, and deletes nothing then.
  - Else deletes what no count asks for, compares again, and compacts. What will go is recorded first.
options:
  keep:
    description: "How many archives of each service stay: newest, daily, weekly, monthly."
    type: dict
    required: true
attributes:
  check_mode:
    description: Says what would be deleted.
    support: full
  diff_mode:
    support: none
author: The suite's authors
"""

EXAMPLES = r"""
- name: Let go what no count asks for
  egov_retention:
    keep: {newest: 8, daily: 14, weekly: 8, monthly: 12}
"""

RETURN = r"""
deleted:
  description: Names of the archives that went, or would go.
  returned: success
  type: list
  elements: str
archives:
  description: How many archives there are.
  returned: success
  type: int
"""
