"""Whether measured numbers still hold against the baseline that they are held to."""
