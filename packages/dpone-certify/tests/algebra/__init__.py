"""Random loads of every strategy, carried out by three that must agree, and the bugs that they must not agree on."""
