"""What a public key and a secret's place look like as text; rendering and applying must agree on both."""

from __future__ import annotations

import re

# Type and key, without a comment.
PUBLIC_KEY = re.compile(r"ssh-ed25519 [A-Za-z0-9+/=]{68}")
# What `wg pubkey` prints: 32 octets in base64.
TUNNEL_KEY = re.compile(r"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=")
# The SHA-256 of a certificate, as `openssl x509 -fingerprint -sha256` prints it.
FINGERPRINT = re.compile(r"[0-9A-F]{2}(?::[0-9A-F]{2}){31}")
# @secret:NAME@ or @secret:NAME:FORM:ENGINE-ID@ in a rendered file.
PLACEHOLDER = re.compile(rb"@secret:([a-z0-9_.-]+)(?::([a-z0-9-]+):([0-9a-f]+))?@")
