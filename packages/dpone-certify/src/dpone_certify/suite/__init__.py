"""The suite: the gate that all evidence of a certification has to pass."""
