"""Drills: rehearse a restore or an emergency, compare with what was promised, always clean up, record it truly."""

from egovctl.drill.engine import coverage, history, plan_run, recover, run_drill
from egovctl.drill.model import Drill, Item, Outcome, Run, Verdict

__all__ = ["Drill", "Item", "Outcome", "Run", "Verdict", "coverage", "history", "plan_run", "recover", "run_drill"]
