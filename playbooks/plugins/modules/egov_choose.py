"""Documentation only: the work is done by the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: egov_choose
short_description: Which bundles this run is about
version_added: 0.1.0
description:
  - Reads the run's C(--tags) and C(--skip-tags), where a tag is the name of a bundle (a role with a C(bundle.yml)).
  - Fails with one sentence for a tag that is no bundle, and when the tags leave nothing to apply.
options:
  bundles:
    description: The bundles that the playbook covers; all of them when not given or empty.
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
- name: Choose the bundles
  egov_choose:
  run_once: true
  register: transaction_choice
"""

RETURN = r"""
bundles:
  description: The chosen bundles; an empty list means everything that a host has.
  returned: success
  type: list
  elements: str
"""
