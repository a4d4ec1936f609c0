"""The matrix as it is carried out and reported."""
