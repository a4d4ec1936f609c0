"""The Kafka connector for dpone."""
