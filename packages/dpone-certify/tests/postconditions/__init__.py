"""The postconditions by hand, and that they know nothing of what they judge."""
