"""Evidence: an append-only record of what was observed, chained so that a change shows."""

from egovctl.evidence.chain import Chain
from egovctl.evidence.record import NO_RECORD, Record
from egovctl.evidence.verify import Head, Verdict
from egovctl.paths import Inventory

__all__ = ["NO_RECORD", "Chain", "Head", "Record", "Verdict", "open_chain"]


def open_chain(inventory: Inventory, plan_revision: str = "", writer: str = "control") -> Chain:
    """The chain of one writer of an inventory."""
    return Chain(inventory.evidence / f"{writer}.jsonl", writer=writer, plan_revision=plan_revision)
