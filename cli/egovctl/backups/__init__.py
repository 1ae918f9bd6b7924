"""Backups seen from control: which there are, which may go, and the suite's own."""
