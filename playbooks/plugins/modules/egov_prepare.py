"""Documentation only: the work is done by the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: egov_prepare
short_description: Install the packages and make the users that a host's manifest needs
version_added: 0.1.0
description:
  - One plain command asks what is missing; only then C(apt-get) and C(systemd-sysusers) run.
  - Newly installed services do not start; M(egov_apply) starts them when their configuration is in place.
  - Nothing is removed and nothing is undone. Packages are outside the transaction.
options:
  bundles:
    description: Only these bundles of the manifest; all of them when not given or empty.
    type: list
    elements: str
attributes:
  check_mode:
    description: Reports what is missing and installs nothing.
    support: full
  diff_mode:
    support: none
author: The suite's authors
"""

EXAMPLES = r"""
- name: Install what the base and frr bundles need
  egov_prepare:
    bundles: [base, frr]
"""

RETURN = r"""
packages:
  description: Packages that were missing.
  returned: always
  type: list
  elements: str
users:
  description: Users and groups that were missing.
  returned: always
  type: list
  elements: str
"""
