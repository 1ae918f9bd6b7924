"""Which bundles an apply is about: those that the playbook covers, cut down by --tags and --skip-tags."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from egovctl.errors import UsageError
from egovctl.i18n import tr

# Ansible's own tags. Those of ours are `always`, so with these too everything is meant.
EVERYTHING = frozenset(["all", "always", "tagged"])


def known_bundles(roles: Path) -> list[str]:
    """The names that are tags: every folder of `roles` that holds a bundle.yml, sorted."""
    return sorted(path.parent.name for path in roles.glob("*/bundle.yml"))


def choose(known: Sequence[str], scope: Iterable[str], tags: Iterable[str], skipped: Iterable[str]) -> list[str]:
    """The bundles to apply; an empty list means everything that a host has.

    `scope` is the playbook's own list (empty: all), `tags` and `skipped` are Ansible's --tags and --skip-tags.
    UsageError for a tag that is no bundle, and when nothing would be left: a slip must not look like a good run.
    """
    wanted, without, covered = set(tags), set(skipped), list(scope) or list(known)
    strange = sorted((wanted - EVERYTHING | without - {"all", "never", "untagged"}) - set(known))
    if strange:
        raise UsageError(
            tr(
                f"没有名为 {', '.join(strange)} 的标签；可用的标签：{', '.join(known)}；未做任何改动",
                f"there is no tag {', '.join(strange)}; the tags are {', '.join(known)}; nothing was applied",
            )
        )
    chosen = covered if wanted & EVERYTHING or not wanted else [name for name in covered if name in wanted]
    chosen = [] if "all" in without else [name for name in chosen if name not in without]
    if not chosen:
        raise UsageError(
            tr(
                f"按所选标签没有可落实的内容；这个 playbook 只涉及 {', '.join(covered)}；未做任何改动",
                f"the tags leave nothing to apply; this playbook covers {', '.join(covered)}; nothing was applied",
            )
        )
    return [] if set(chosen) == set(known) else chosen
