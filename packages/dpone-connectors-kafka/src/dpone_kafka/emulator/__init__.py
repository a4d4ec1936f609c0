"""A Kafka broker and a schema registry of our own, for tests: the standard library alone, logs on disk, one node.

It speaks the last non-flexible version of each request, which librdkafka, kafka-python, aiokafka and the Java client
still negotiate. It is imported by the testkit and run as `python -m dpone_kafka.emulator`; it has no TLS, no
authentication and no second broker, and deletes nothing by age.
"""
