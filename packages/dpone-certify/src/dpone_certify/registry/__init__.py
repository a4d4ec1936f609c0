"""The registry of runs: which runs there were, what they did, and whether their records say that they succeeded."""
