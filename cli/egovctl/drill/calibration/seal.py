"""The seal on a label: a hash that is on record before the verdict, and opened after it."""

from __future__ import annotations

import hashlib
from typing import Any

import rfc8785


def commitment(nonce: str, label: dict[str, Any]) -> str:
    """What is put on record in place of a label. The nonce keeps anyone from trying all labels."""
    return hashlib.sha256(nonce.encode() + b"\n" + rfc8785.dumps(label)).hexdigest()
