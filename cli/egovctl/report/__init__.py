"""What people read of runs and drills: tables, JSON, and the few lines of a summary. Pure functions of results."""
