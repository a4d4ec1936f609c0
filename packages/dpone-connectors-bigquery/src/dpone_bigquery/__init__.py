"""The BigQuery connector for dpone."""
