"""Registers: what an office writes down by itself (trainings, incidents, approvals ...), typed, one file a kind."""
