"""The REST source for dpone."""
