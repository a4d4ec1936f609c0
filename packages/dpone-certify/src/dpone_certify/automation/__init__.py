"""The full chain of evidence as commands: planned, printed, carried out."""
