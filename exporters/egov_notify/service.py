"""The service: what Alertmanager says is on disk before it is answered; a thread for each way sends what waits."""

from __future__ import annotations

import copy
import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from egov_notify import ways
from egov_notify.config import Config
from egov_notify.lanes import Batch, Lanes, give_up, too_old
from egov_notify.state import State, hear
from egov_notify.store import Store
from egov_notify.ways import Refused, Trouble

log = logging.getLogger("egov_notify")


class Service:
    """State, disk and threads. Whatever changes the state does so under `changed`, and is on disk when it lets go."""

    def __init__(self, config: Config, store: Store) -> None:
        self.config, self.store = config, store
        self.state = store.load()
        self.changed = threading.Condition()
        self.stopping = False
        self.lanes = {way: Lanes() for way in ways.WAYS}
        self.counts: Counter[tuple[str, str]] = Counter()
        self.threads = [threading.Thread(target=self._work, args=(way,), name=way, daemon=True) for way in ways.WAYS]

    def start(self) -> None:
        """Begin to send."""
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        """Send nothing more; what is being sent is finished first, so that it is not sent again."""
        with self.changed:
            self.stopping = True
            self.changed.notify_all()
        for thread in self.threads:
            thread.join(2 * ways.TIMEOUT)

    def take(self, payload: Mapping[str, Any]) -> None:
        """Hear a notification. Raises what `hear` raises, and OSError: then nothing of it was taken."""
        with self.changed:
            after = copy.deepcopy(self.state)
            hear(after, self.config, payload, time.time())
            self.store.save(after)
            self.state = after
            self.changed.notify_all()

    def _work(self, way: str) -> None:
        while True:
            with self.changed:
                if self.stopping:
                    return
                batch, wait = self.lanes[way].next(self.state, self.config, way, time.time())
                if batch is None:
                    self.changed.wait(wait)
                    continue
            self._send(way, batch)

    def _send(self, way: str, batch: Batch) -> None:
        try:
            recipient = self.config.recipient(batch.message.recipient)
            if recipient is None:
                raise Refused("the recipient is no longer planned")
            ways.send(self.config, recipient, batch.message, time.time())
        except Refused as why:
            self._bury(batch.covers, way, str(why))
        except Trouble as why:
            self._failed(batch, way, str(why))
        except Exception as why:
            # A fault of ours must not end the thread: the message stays, and the metrics say that it waits.
            self._failed(batch, way, type(why).__name__)
        else:
            with self.changed:
                self.lanes[way].went(self.state, batch, time.time())
                self.counts["sent", way] += 1
                self.counts["summed", way] += batch.summed
                self._save()
            log.warning("sent %s %s to %s: %s", way, batch.message.id, batch.message.recipient, batch.message.what)

    def _failed(self, batch: Batch, way: str, why: str) -> None:
        with self.changed:
            pause = self.lanes[way].failed(batch, time.time())
            self.counts["failed", way] += 1
            old = [item for item in too_old(self.state, way, time.time()) if item in batch.covers]
        log.warning("%s to %s failed, again in %.0f s: %s", way, batch.message.recipient, pause, why)
        if old:
            self._bury(old, way, f"nobody took it for a day; last: {why}")

    def _bury(self, ids: tuple[str, ...] | list[str], way: str, why: str) -> None:
        with self.changed:
            gone = give_up(self.state, ids)
            self.counts["dead", way] += len(gone)
            try:
                self.store.bury(gone, why)
            except OSError as error:
                log.error("dead messages could not be noted: %s", error.strerror)
            self._save()
        log.error("%d messages by %s are given up: %s", len(gone), way, why)

    def _save(self) -> None:
        try:
            self.store.save(self.state)
        except OSError as why:
            log.error("the state could not be kept, after a restart something may be told twice: %s", why.strerror)

    def snapshot(self) -> State:
        """The state as it is, for metrics."""
        with self.changed:
            return copy.deepcopy(self.state)
