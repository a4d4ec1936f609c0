"""Replay: a run that stopped is continued, and what has landed is landed again; planned first, done when told so."""
