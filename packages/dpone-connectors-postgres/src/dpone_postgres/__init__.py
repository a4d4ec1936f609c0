"""The PostgreSQL connector for dpone."""
