"""The SQL Server connector for dpone."""
