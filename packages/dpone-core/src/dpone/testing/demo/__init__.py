"""`make demo`: a shop that moves through every engine that is installed, while its rows change."""
