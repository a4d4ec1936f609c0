"""The ClickHouse connector for dpone."""
