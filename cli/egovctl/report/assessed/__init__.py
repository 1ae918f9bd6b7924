"""Reports of self-assessments, of a whole city or of a part of it, from what is on record; they contact nobody."""
