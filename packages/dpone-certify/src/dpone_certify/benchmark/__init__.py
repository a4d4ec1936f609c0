"""Measures what dpone costs beside a control that does the same work, in turns on one machine, and says what held."""
