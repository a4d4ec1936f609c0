"""Replay: what has landed is landed again, what stopped is continued."""
