"""The evidence chain: which files a release rests on, by hash, each release after the one before it."""
