"""Who may look at our pages: a user and a password over TLS, in the file that Prometheus' programs take as well.

Basic authentication at each request: no session that could be stolen or kept too long, nothing to store. Wrong
passwords are told, and make who tries them wait longer each time.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from pathlib import Path

from aiohttp import web

from egov_exporters.snmp.secret_yaml import ConfigError
from egov_exporters.snmp.web_config import BasicAuth, WebConfig, credentials, load_web_config
from egovctl.errors import UsageError
from egovctl.i18n import Told, told

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
FREE = 3  # wrong passwords for a name from an address, before anybody has to wait
LONGEST = 60.0  # seconds that one waits at most
FORGOTTEN = 900.0  # seconds without a wrong one, after which all is as before
REMEMBERED = 4096  # names and addresses
WAITING = 16  # passwords that wait to be compared; there is one comparison at a time
LEAST_COST = 10  # of a bcrypt hash: some 60 ms for each guess, also for who has stolen the file


def read_login(path: Path) -> WebConfig:
    """The file, its certificate and key tried; UsageError for one that cannot be used or protects nothing."""
    try:
        config = load_web_config(path)
    except ConfigError as why:
        raise UsageError(told(f"登录配置不可用：{why}", f"the login cannot be used: {why}")) from None
    if not config.users:
        raise UsageError(
            told(
                f"{path} 中没有 basic_auth_users，没有人能登录", f"{path} has no basic_auth_users, so nobody can log in"
            )
        )
    costs = {int(found[4:6]) for found in config.users.values()}
    if min(costs) < LEAST_COST or len(costs) > 1:
        # Hashes that differ in cost would tell by the time they take which users there are.
        raise UsageError(
            told(
                f"{path}：所有 bcrypt 散列的 cost 应相同且不低于 {LEAST_COST}（htpasswd -nBC {LEAST_COST} 用户）",
                f"{path}: bcrypt hashes must have one cost, at least {LEAST_COST} (htpasswd -nBC {LEAST_COST} USER)",
            )
        )
    return config


@dataclass
class Patience:
    """How long somebody is not heard: nothing for the first wrong passwords, then twice as long for each more."""

    clock: Callable[[], float] = time.monotonic
    _seen: OrderedDict[tuple[str, str], tuple[int, float]] = field(default_factory=OrderedDict)

    def wait(self, who: tuple[str, str]) -> float:
        """Seconds until the next password of `who` is looked at; 0 for at once."""
        count, last = self._count(who)
        pause = min(LONGEST, 2.0 ** (count - FREE)) if count >= FREE else 0.0
        return max(0.0, last + pause - self.clock())

    def wrong(self, who: tuple[str, str]) -> int:
        """One more wrong password; gives how many there were without a long pause."""
        count = self._count(who)[0] + 1
        self._seen[who] = (count, self.clock())
        self._seen.move_to_end(who)
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return count

    def _count(self, who: tuple[str, str]) -> tuple[int, float]:
        count, last = self._seen.get(who, (0, 0.0))
        return (count, last) if self.clock() - last < FORGOTTEN else (0, 0.0)


class Login:
    """Asks each request for a user and a password. `tell` gets one sentence for each that was wrong."""

    def __init__(
        self, users: Mapping[str, bytes], tell: Callable[[Told], object], patience: Patience | None = None
    ) -> None:
        self._users, self._tell = users, tell
        self._auth = BasicAuth(users)
        self._patience = patience or Patience()
        self._one = asyncio.Lock()
        self._waiting = 0

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """401 without the right password, 429 for who has to wait, 503 when too many ask at a time."""
        refused = await self.refused(request.headers.get("Authorization", ""), request.remote or "")
        return await handler(request) if refused is None else refused

    async def refused(self, header: str, address: str) -> web.Response | None:
        """What is answered to this Authorization header in place of the page; None for the right one."""
        found = credentials(header)
        if found is None:
            return _unauthorized()
        # By name and address: who guesses for one name from his own desk does not keep the wall's screen out.
        who = (_network(address), found[0][:256])
        if self._patience.wait(who):
            return self._too_soon(who)
        if self._auth.remembers(header):
            return None
        if self._waiting >= WAITING:
            return _answer(503, "登录者过多，请重试", "too many log in at a time", {"Retry-After": "1"})
        self._waiting += 1
        try:
            # One after the other, so that guesses sent at the same time count as well.
            async with self._one:
                if self._patience.wait(who):
                    return self._too_soon(who)
                if await self._auth.allowed(header):
                    return None
                count = self._patience.wrong(who)
        finally:
            self._waiting -= 1
        self._log(who, address, count)
        return _unauthorized()

    def _too_soon(self, who: tuple[str, str]) -> web.Response:
        seconds = int(self._patience.wait(who)) + 1
        return _answer(429, "口令错误过多，请稍候", "too many wrong passwords: wait", {"Retry-After": str(seconds)})

    def _log(self, who: tuple[str, str], address: str, count: int) -> None:
        # A name that is not a user's may be a password in the wrong field: it is not written down.
        known = who[1] in self._users
        pause = self._patience.wait(who)
        zh = f"登录被拒：{address}，{f'用户 {who[1]}' if known else '未知用户'}，连续第 {count} 次"
        en = f"login refused: {address}, {f'user {who[1]}' if known else 'an unknown user'}, number {count} in a row"
        if pause:
            zh, en = f"{zh}，{pause:.0f} 秒内不再受理", f"{en}, not heard for {pause:.0f} s"
        self._tell(told(zh, en))


def _unauthorized() -> web.Response:
    return _answer(401, "请登录", "log in", {"WWW-Authenticate": 'Basic realm="egov", charset="UTF-8"'})


def _answer(status: int, zh: str, en: str, headers: Mapping[str, str]) -> web.Response:
    """In both languages: nobody has chosen one yet."""
    return web.Response(status=status, text=f"{zh} / {en}\n", headers=dict(headers))


def _network(address: str) -> str:
    """Whom an address stands for: one host of IPv4, one network of IPv6, where a host has as many as it likes."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped or IPv6Address(int(found) >> 64 << 64))
    return str(found)
