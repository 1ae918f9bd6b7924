"""Assessments: a standard is a thin list over checks and statements; what was seen becomes a verdict an item."""
