"""Which archives are kept: by count of the newest, of days, weeks and months. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from egovctl.backups.register import Archived
from egovctl.errors import UsageError
from egovctl.i18n import tr


@dataclass(frozen=True)
class Keep:
    """How many archives of each service stay: the newest, and the last one of so many days, weeks and months."""

    newest: int
    daily: int
    weekly: int
    monthly: int

    def __post_init__(self) -> None:
        if self.newest < 1 or min(self.daily, self.weekly, self.monthly) < 0:
            raise UsageError(
                tr(
                    f"保留份数有误（{self}）：newest 至少为 1，其余不能为负",
                    f"these are no counts to keep ({self}): newest is 1 at least, none is negative",
                )
            )


def superfluous(archives: Iterable[Archived], keep: Keep, protected: frozenset[str] = frozenset()) -> list[Archived]:
    """Those that no count asks for, oldest first; never one whose id is protected, nor one with a name not ours."""
    by_service: dict[str, list[Archived]] = {}
    for item in sorted(archives, key=lambda one: (one.moment, one.name)):
        by_service.setdefault(item.service, []).append(item)
    by_service.pop("", None)
    kept: set[str] = set(protected)
    for mine in by_service.values():
        kept |= {item.id for item in mine[-keep.newest :]}
        for count, form in ((keep.daily, "%Y-%m-%d"), (keep.weekly, "%G-%V"), (keep.monthly, "%Y-%m")):
            last = {item.moment.strftime(form): item.id for item in mine}
            kept |= set([last[period] for period in sorted(last)][-count:] if count else [])
    return [item for mine in by_service.values() for item in mine if item.id not in kept]
