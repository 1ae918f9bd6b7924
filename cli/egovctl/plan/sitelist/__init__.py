"""From the list of sites that an office has (CSV or XLSX) to a plan that passes `plan check`.

read (file → cells) → columns (which is what) → rows (cells → values) → build (values → plan, checked) → emit (YAML).
"""

from egovctl.plan.sitelist.build import Imported, Wanted, build
from egovctl.plan.sitelist.store import new_inventory, store
from egovctl.plan.sitelist.template import write_template

__all__ = ["Imported", "Wanted", "build", "new_inventory", "store", "write_template"]
