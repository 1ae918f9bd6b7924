"""Kannel as this service uses it: sendsms for a message, the status page for what waits and who is logged in."""

from __future__ import annotations

import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as Xml
from dataclasses import dataclass, field

TIMEOUT = 10.0
USER = "egov-sms"
TAKEN = 202  # sendsms' word for: it is in Kannel's store
LONGEST_ANSWER = 1_000_000
# What Kannel is to report: delivered, not delivered, taken by the centre, refused by it.
RECEIPTS = {1: "delivered", 2: "undelivered", 8: "submitted", 16: "rejected"}


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Redirects are not followed."""


OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)


class NotTaken(Exception):
    """Kannel did not take a message; the sentence has no text and no number. `sure`: it is certain that it did not."""

    def __init__(self, why: str, *, sure: bool) -> None:
        super().__init__(why)
        self.sure = sure


@dataclass(frozen=True)
class Kannel:
    """Where it is. `receipts`: this service's own address for reports of delivery."""

    sendsms: str
    status: str
    receipts: str
    password: str = field(repr=False)

    @property
    def _address(self) -> str:
        return f"http://{self.sendsms}/cgi-bin/sendsms"

    def send(self, site: str, identity: str, token: str, to: str, text: str) -> None:
        """Hand a message over. Raises NotTaken."""
        report = urllib.parse.urlencode({"site": site, "id": identity, "token": token}) + "&state=%d"
        fields = {"username": USER, "password": self.password, "to": to, "text": text, "charset": "UTF-8"}
        fields |= {"coding": "2", "dlr-mask": str(sum(RECEIPTS)), "dlr-url": f"{self.receipts}?{report}"}
        try:
            with OPENER.open(f"{self._address}?{urllib.parse.urlencode(fields)}", timeout=TIMEOUT) as got:
                if got.status != TAKEN:
                    raise NotTaken(f"HTTP status {got.status}", sure=True)
        except urllib.error.HTTPError as why:
            why.close()
            raise NotTaken(f"HTTP status {why.code}", sure=True) from None
        except urllib.error.URLError as why:
            sure = isinstance(why.reason, ConnectionRefusedError)
            raise NotTaken(type(why.reason).__name__, sure=sure) from None
        except OSError as why:
            raise NotTaken(type(why).__name__, sure=False) from None

    def look(self) -> tuple[bool, int] | None:
        """(whether the operator's centre is there, messages that wait in Kannel); None when Kannel does not answer."""
        try:
            with OPENER.open(f"http://{self.status}/status.xml", timeout=TIMEOUT) as answer:
                page = Xml.fromstring(answer.read(LONGEST_ANSWER))  # noqa: S314 - of our own Kannel on the loopback
        except (OSError, Xml.ParseError):
            return None
        centres = page.findall("./smscs/smsc")
        online = any((centre.findtext("status") or "").startswith("online") for centre in centres)
        waiting = sum(int(centre.findtext("queued") or 0) for centre in centres)
        waiting += int(page.findtext("./sms/sent/queued") or 0) + int(page.findtext("./sms/storesize") or 0)
        return online, waiting
