"""Documentation only: the work is done by the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: egov_contact
short_description: Say whether a host is in band, and how to reach it
version_added: 0.1.0
description:
  - In band means that the host answers as C(egov-deploy), with root's rights, under its enrolled host key.
  - A host that is not is reached as the operator's C(.egov/<inventory>/first_contact.yml) says, and only with the
    host key that stands there.
options:
  wait:
    description: Seconds to wait for the host to be in band; fails after that.
    type: float
    default: 0.0
attributes:
  check_mode:
    description: It only looks.
    support: full
  diff_mode:
    support: none
author: The suite's authors
"""

EXAMPLES = r"""
- name: Ask whether the host is in band
  egov_contact:
  register: enrol_contact
"""

RETURN = r"""
in_band:
  description: Whether the host is in band.
  returned: success
  type: bool
why:
  description: Why it is not.
  returned: success
  type: str
lacking:
  description: Names of the keys that its record does not have yet, although its place in the plan asks for them.
  returned: success
  type: list
  elements: str
variables:
  description: Connection variables to go on with.
  returned: success
  type: dict
"""
