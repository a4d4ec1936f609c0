"""Services that tests run against, launched and found again."""
