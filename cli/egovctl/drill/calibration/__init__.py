"""Calibration: how many planted faults a drill finds, how often it names the cause, and whether it cries wolf."""
