"""What became of a certification since the one before it."""
