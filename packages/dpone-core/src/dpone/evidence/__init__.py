"""What every evidence document has in common: its model, its one canonical spelling, its subject, its Markdown."""
