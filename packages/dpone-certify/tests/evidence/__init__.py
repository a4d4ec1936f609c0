"""Evidence: signatures, judges, chains, and what must never get past them."""
