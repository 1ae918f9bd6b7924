"""Documentation only: the work is done by the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: egov_retire
short_description: Whether a site may go; afterwards, forget it and record it
version_added: 0.1.0
description:
  - Without I(record), asks the plan whether the site may go, and fails with a sentence for each reason against it.
  - With I(record), moves its hosts' enrolment records away, removes what only they used on control, appends a record
    to the evidence, and prints what was removed and what is kept.
options:
  site:
    description: Name of the site in the plan.
    type: str
    required: true
  unreachable:
    description: Its hosts are gone; none of them is visited.
    type: bool
    default: false
  day:
    description: The day of it, as in 2026-03-31; empty means today.
    type: str
    default: ""
  record:
    description: Its hosts have been visited; forget it now.
    type: bool
    default: false
attributes:
  check_mode:
    description: Nothing is forgotten or recorded.
    support: full
  diff_mode:
    support: none
author: The suite's authors
"""

EXAMPLES = r"""
- name: Ask the plan
  egov_retire:
    site: minqin-forestry
  run_once: true
  register: retire_asked
"""

RETURN = r"""
visit:
  description: The hosts from which everything is to be taken back.
  returned: without record
  type: list
  elements: str
"""
