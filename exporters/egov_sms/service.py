"""One request of a department from its login to its answer, and the reports of delivery that come later."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from egov_sms.answers import refusal
from egov_sms.book import Book, Entry, seconds_left
from egov_sms.config import IDENTITY, MOBILE, Account, Config, Unfit, masked, parts_of
from egov_sms.kannel import Kannel, NotTaken

log = logging.getLogger("egov_sms")
Answer = tuple[int, dict[str, object], dict[str, str]]  # status, body, more headers


class Accounts:
    """The hashes of the departments' keys, as the tool keeps them; read again when the file was replaced."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int] | None = None
        self._hashes: dict[str, str] = {}
        self._lock = threading.Lock()

    def known(self) -> dict[str, str]:
        """site → SHA-256 of its key. Raises OSError when the file is gone."""
        with self._lock:
            status = self.path.stat()
            if (seen := (status.st_mtime_ns, status.st_ino)) != self._seen:
                self._hashes = read_hashes(self.path)
                self._seen = seen
            return self._hashes

    def login(self, header: str, planned: Mapping[str, Account]) -> str | None:
        """Whose Authorization header this is; None when it is nobody's."""
        scheme, _, word = header.partition(" ")
        try:
            name, _, key = base64.b64decode(word.strip(), validate=True).decode("utf-8").partition(":")
        except ValueError:
            return None
        wanted = self.known().get(name, "0" * 64)
        same = hmac.compare_digest(wanted, hash_of(key))
        return name if same and scheme.lower() == "basic" and name in planned else None


def hash_of(key: str) -> str:
    """What is kept of a key: it is random and long, so one round is enough."""
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def read_hashes(path: Path) -> dict[str, str]:
    """site → hash, of each line."""
    words = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    return {item[0]: item[1] for item in words if len(item) == 2}


class Service:
    """The service's state: the log, the counts since its start, and how often each department asked of late."""

    def __init__(self, config: Config, book: Book, accounts: Accounts, kannel: Kannel, salt: bytes) -> None:
        self.config, self.book, self.accounts, self.kannel, self.salt = config, book, accounts, kannel, salt
        self.counts: Counter[tuple[str, str, str]] = Counter()  # metric, department, reason or ""
        self._asked: dict[str, tuple[float, float]] = {}  # department → (requests that it has left, when)
        self._lock = threading.Lock()

    def post(self, header: str, body: bytes, now: float) -> Answer:
        """A message. Everything that can be wrong is answered before anything is kept."""
        site = self.accounts.login(header, self.config.accounts)
        if site is None:
            self._count("refused", "-", "login")
            return self._refused("login")
        if wait := self._too_often(site, now):
            return self._refuse(site, "rate", wait, per_minute=self.config.per_minute)
        try:
            identity, to, text = self._read(body)
        except Unfit as why:
            return self._refuse(site, why.reason, 0, **why.words)
        account, parts = self.config.accounts[site], parts_of(text)
        entry = Entry(now, site, identity, masked(to), parts, self._digest(to, text), changed=now)
        try:
            kept = self.book.take(entry, account.daily, account.monthly)
        except OSError as why:
            log.error("a message of %s could not be put on record, and was refused: %s", site, why.strerror)
            return self._refuse(site, "disk")
        if isinstance(kept, str):
            day, month = self.book.usage(site, now)
            quota, used = (account.daily, day) if kept == "day" else (account.monthly, month)
            wait = seconds_left(now, month=kept == "month")
            return self._refuse(site, kept, wait, quota=quota, used=used, parts=parts)
        if kept is not entry:
            if not hmac.compare_digest(kept.digest, entry.digest):
                return self._refuse(site, "other", id=identity)
            return 200, {**self._told(kept, now), "repeated": True}, {}
        return self._hand_over(entry, to, text)

    def _hand_over(self, entry: Entry, to: str, text: str) -> Answer:
        try:
            self.kannel.send(entry.site, entry.id, self.token(entry.site, entry.id), to, text)
        except NotTaken as why:
            log.error("Kannel did not take a message of %s: %s", entry.site, why)
            self._count("failed", entry.site)
            self._note(entry, "failed" if why.sure else "unknown", str(why))
            if why.sure:
                return self._refuse(entry.site, "kannel", 60)
        else:
            self._count("sent", entry.site)
            self._count("parts", entry.site, number=entry.parts)
            self._note(entry, "sent")
        return 202, self._told(self.book.get(entry.site, entry.id) or entry, time.time()), {}

    def _note(self, entry: Entry, state: str, why: str = "") -> None:
        try:
            self.book.note(entry.site, entry.id, state, time.time(), why)
        except OSError as error:
            log.error("that a message of %s is %s could not be put on record: %s", entry.site, state, error.strerror)

    def message(self, header: str, identity: str, now: float) -> Answer:
        """What became of a message."""
        site = self.accounts.login(header, self.config.accounts)
        if site is None:
            return self._refused("login")
        entry = self.book.get(site, identity)
        return self._refused("message", id=identity[:64]) if entry is None else (200, self._told(entry, now), {})

    def quota(self, header: str, now: float) -> Answer:
        """What a department may still send."""
        site = self.accounts.login(header, self.config.accounts)
        if site is None:
            return self._refused("login")
        return 200, {"department": site, **self._quota(site, now)}, {}

    def receipt(self, site: str, identity: str, token: str, state: str, now: float) -> bool:
        """Kannel's report of delivery; False for one with a wrong token. Raises OSError."""
        if not hmac.compare_digest(token, self.token(site, identity)):
            return False
        if self.book.note(site, identity, state, now):
            self._count(state, site)
        return True

    def token(self, site: str, identity: str) -> str:
        """What a report of delivery must carry: nobody else on the host can make it."""
        return hmac.new(self.salt, f"{site}\0{identity}".encode(), "sha256").hexdigest()[:32]

    def _digest(self, to: str, text: str) -> str:
        return hmac.new(self.salt, f"{to}\0{text}".encode(), "sha256").hexdigest()[:32]

    def _read(self, body: bytes) -> tuple[str, str, str]:
        """(id, number, whole text) of a request. Raises Unfit."""
        try:
            data: Any = json.loads(body)
            values = data.get("values")
            identity, to, template = (data[name] for name in ("id", "to", "text"))
            if not all(isinstance(item, str) for item in (identity, to, template, *(values or {}).values())):
                raise TypeError
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise Unfit("form") from None
        if not IDENTITY.match(identity):
            raise Unfit("id")
        if not MOBILE.match(to):
            raise Unfit("to")
        return identity, to, self.config.text(template, values)

    def _too_often(self, site: str, now: float) -> int:
        """Seconds to wait; 0 when the request is within the bound: a minute's worth at once, then as they come back."""
        with self._lock:
            most = float(self.config.per_minute)
            left, when = self._asked.get(site, (most, now))
            left = min(most, left + max(0.0, now - when) * most / 60)
            self._asked[site] = (left - 1, now) if left >= 1 else (left, now)
            return 0 if left >= 1 else max(1, round((1 - left) * 60 / most))

    def _quota(self, site: str, now: float) -> dict[str, object]:
        account, (day, month) = self.config.accounts[site], self.book.usage(site, now)
        return {"day": {"used": day, "quota": account.daily}, "month": {"used": month, "quota": account.monthly}}

    def _told(self, entry: Entry, now: float) -> dict[str, object]:
        return {"id": entry.id, "state": entry.state, "parts": entry.parts, **self._quota(entry.site, now)}

    def _refuse(self, site: str, key: str, wait: int = 0, **words: object) -> Answer:
        self._count("refused", site, key)
        return self._refused(key, wait, **words)

    def _refused(self, key: str, wait: int = 0, **words: object) -> Answer:
        status, body = refusal(key, **words)
        more = {"Retry-After": str(wait)} if wait else {}
        return status, body, {**more, "WWW-Authenticate": 'Basic realm="egov-sms"'} if status == 401 else more

    def _count(self, metric: str, site: str, reason: str = "", number: int = 1) -> None:
        with self._lock:
            self.counts[metric, site, reason] += number

    def counted(self) -> dict[tuple[str, str, str], int]:
        """A copy of the counts."""
        with self._lock:
            return dict(self.counts)
