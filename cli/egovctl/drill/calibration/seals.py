"""Was it blind? Whether the evidence shows each label sealed before the verdict and opened, unchanged, after it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from egovctl.drill.calibration.seal import commitment
from egovctl.evidence import Record

ORDER = ("calibration.sealed", "calibration.judged", "calibration.revealed")


def broken(records: Iterable[Record], run: str) -> list[int]:
    """The cases of a run whose seal does not prove that they were judged blindly; none when all are well."""
    steps: dict[int, list[Record]] = {}
    for record in records:
        if record.kind in ORDER and record.body["run"] == run:
            steps.setdefault(int(record.body["number"]), []).append(record)
    return [number for number, found in steps.items() if not _blind(found)]


def _blind(found: list[Record]) -> bool:
    if tuple(record.kind for record in found) != ORDER:
        return False
    sealed, judged, opened = found
    label: dict[str, Any] = opened.body["label"]
    right_hash = commitment(str(opened.body["nonce"]), label) == str(sealed.body["commitment"])
    return right_hash and str(opened.body["judged"]) == judged.hash and int(label["number"]) == sealed.body["number"]
