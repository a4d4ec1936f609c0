"""Apache Kafka itself for tests: one node in KRaft mode on loopback, out of Apache's own jars.

Nothing of it is imported by the connector. It needs Java and, once, Maven with a way to Maven Central.
"""
