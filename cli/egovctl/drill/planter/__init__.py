"""The planter: makes worlds of its own (data, backups, surroundings) and plants a fault in some of them.

It runs as a process beside a calibration, `python -m egovctl.drill.planter`, and keeps what it planted to itself until
the verdict is on record. Nothing that judges may import it (a contract test walks the imports).
"""
