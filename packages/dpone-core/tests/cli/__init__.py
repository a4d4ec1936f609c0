"""The command line, called as a shell calls it."""
