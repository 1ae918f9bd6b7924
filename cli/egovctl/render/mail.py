"""The city's mail service: a domain for each site whose people have mail, an office mailbox there, aliases to it."""

from __future__ import annotations

from dataclasses import dataclass

from egovctl.plan import Plan

# Sites where people work; elsewhere are machines only. The NOC has one too: alerts go there.
KINDS = ("department", "town", "village", "noc")
OFFICE = "office"


@dataclass(frozen=True)
class Mail:
    """What the mail host is told: its domains, the mailboxes of the plan, and (alias, mailbox) pairs."""

    domains: tuple[str, ...]
    mailboxes: tuple[str, ...]
    aliases: tuple[tuple[str, str], ...]


def mail_of(plan: Plan) -> Mail:
    """SITE.DOMAIN for each site with people, office@ there; SITE@DOMAIN leads to it. Recipients of alerts in one of
    these domains have a mailbox too.
    """
    top = plan.city.domain
    sites = [site for site in plan.sites if site.kind in KINDS]
    domains = (top, *(f"{site.name}.{top}" for site in sites))
    offices = [f"{OFFICE}@{site.name}.{top}" for site in sites]
    people = [person.mail.lower() for person in (plan.contacts.recipients if plan.contacts else ()) if person.mail]
    told = [address for address in people if address.partition("@")[2] in domains]
    aliases = [(f"{site.name}@{top}", office) for site, office in zip(sites, offices, strict=True)]
    aliases += [(f"postmaster@{site.name}.{top}", office) for site, office in zip(sites, offices, strict=True)]
    noc = next(office for site, office in zip(sites, offices, strict=True) if site.kind == "noc")
    aliases.append((f"postmaster@{top}", noc))
    taken = {alias for alias, _ in aliases}
    boxes = [address for address in dict.fromkeys([*offices, *told]) if address not in taken]
    return Mail(domains, tuple(boxes), tuple(aliases))
