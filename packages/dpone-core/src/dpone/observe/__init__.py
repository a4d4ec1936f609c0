"""Observers of the event stream: the record of a run, the progress bar, log lines."""
