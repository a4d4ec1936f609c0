"""The matrix, carried out: cases, the rows that they move, what is compared, and the report that comes of it."""
