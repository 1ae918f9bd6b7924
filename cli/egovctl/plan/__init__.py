"""The plan of a city: models, loader, derived model. Imports nothing of the other rooms."""

from egovctl.plan.derived import City, Host, Interface, Lan, Link
from egovctl.plan.load import load, load_city, load_plan
from egovctl.plan.models import Plan, Service, Site
from egovctl.plan.source import PlanError

__all__ = [
    "City",
    "Host",
    "Interface",
    "Lan",
    "Link",
    "Plan",
    "PlanError",
    "Service",
    "Site",
    "load",
    "load_city",
    "load_plan",
]
