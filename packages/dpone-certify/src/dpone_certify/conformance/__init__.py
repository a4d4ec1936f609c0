"""The conformance suite of each connector, as a document."""
