"""Log lines as key=value pairs (logfmt), as the programs around Prometheus write them."""

from __future__ import annotations

import json
import logging


class LogFormatter(logging.Formatter):
    """`ts=... level=... logger=... msg="..."`; under systemd the journal adds the rest."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the message holds."""
        stamp = self.formatTime(record, "%Y-%m-%dT%H:%M:%S")
        message = json.dumps(record.getMessage(), ensure_ascii=False)
        return f"ts={stamp} level={record.levelname.lower()} logger={record.name} msg={message}"
