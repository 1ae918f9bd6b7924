"""Templates of a gateway's request, and its signature."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone

from egov_notify.config import Gateway, Signature

ZONE = timezone(timedelta(hours=8))  # a gateway of a city in China has China's time, whatever the host's clock shows
WORD = re.compile(r"\{([a-z]+)\}")
# What a template may say in braces; the plan's rules hold it to these.
WORDS = ("mobile", "text", "id", "time", "seconds", "milliseconds", "nonce", "user", "secret")


def words_for(gateway: Gateway, mobile: str, text: str, identity: str, now: float) -> dict[str, str]:
    """The words of a request, by name. `nonce` is another in each attempt, so that none can be sent again by others."""
    return {
        "mobile": mobile,
        "text": text,
        "id": identity,
        "time": datetime.fromtimestamp(now, ZONE).strftime("%Y%m%d%H%M%S"),
        "seconds": str(int(now)),
        "milliseconds": str(int(now * 1000)),
        "nonce": secrets.token_hex(16),
        "user": gateway.user,
        "secret": gateway.secret,
    }


def fill(template: str, words: Mapping[str, str]) -> str:
    """The template with its words put in; what the words hold is not looked at again."""
    return WORD.sub(lambda match: words.get(match[1], match[0]), template)


def signature(sign: Signature, fields: Mapping[str, str], secret: str, charset: str = "utf-8") -> str:
    """The signature over the fields: sorted by name, name=value joined with &, then the filled `tail`.

    md5, sha256 and sm3 hash that text, so their tail has the secret in it; the hmac-* have the secret as their key.
    Raises ValueError where the system's OpenSSL has no such algorithm.
    """
    joined = "&".join(f"{name}={value}" for name, value in sorted(fields.items()))
    data = (joined + fill(sign.tail, {"secret": secret})).encode(charset, "replace")
    keyed, _, name = sign.algorithm.rpartition("-")
    if keyed:
        digest = hmac.new(secret.encode(charset), data, name).digest()
    else:
        digest = hashlib.new(name, data, usedforsecurity=False).digest()
    if sign.encoding == "base64":
        return base64.b64encode(digest).decode()
    return digest.hex().upper() if sign.encoding == "HEX" else digest.hex()


def signed_fields(gateway: Gateway, words: Mapping[str, str]) -> dict[str, str]:
    """The fields of a request, filled and signed."""
    fields = {name: fill(template, words) for name, template in gateway.fields.items()}
    if gateway.sign is not None:
        fields[gateway.sign.field] = signature(gateway.sign, fields, gateway.secret, gateway.charset)
    return fields
