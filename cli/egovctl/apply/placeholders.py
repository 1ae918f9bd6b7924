"""Secrets in rendered files: placeholders there, values only in memory, put in on the host."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from egovctl.apply.usm import authentication_key, privacy_key_aes128
from egovctl.errors import UsageError
from egovctl.i18n import tr
from egovctl.keys import PLACEHOLDER

FORMS: dict[str, Callable[[str, bytes], bytes]] = {
    "usm-sha256": authentication_key,
    "usm-aes128": privacy_key_aes128,
}


def find(rendered: bytes) -> list[str]:
    """The placeholders of a rendered file, each once, in order."""
    return list(dict.fromkeys(match[0].decode() for match in PLACEHOLDER.finditer(rendered)))


def resolve(placeholders: Iterable[str], get: Callable[[str], str]) -> dict[str, str]:
    """placeholder → value, with `get` giving a secret by its name. Raises what `get` raises; UsageError for a form
    that is not known or a secret that cannot be used."""
    return {text: _value(text, get) for text in placeholders}


def _value(placeholder: str, get: Callable[[str], str]) -> str:
    match = PLACEHOLDER.fullmatch(placeholder.encode())
    if match is None:
        raise UsageError(tr(f"{placeholder} 不是占位符", f"{placeholder} is not a placeholder"))
    name, form = match[1].decode(), (match[2] or b"").decode()
    value = get(name)
    if not form:
        return value
    if form not in FORMS:
        forms = ", ".join(sorted(FORMS))
        raise UsageError(
            tr(
                f"{placeholder}：没有形式 {form}；可用的有 {forms}",
                f"{placeholder}: the form {form} is not known; there are {forms}",
            )
        )
    try:
        return "0x" + FORMS[form](value, bytes.fromhex(match[3].decode())).hex()
    except ValueError as error:
        raise UsageError(tr(f"密钥 {name} 不能使用：{error}", f"secret {name} cannot be used: {error}")) from None
