"""Evidence as a tree: a document with the files that it rests on, gathered once and judged without believing it."""
