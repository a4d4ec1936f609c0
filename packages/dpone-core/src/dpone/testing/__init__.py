"""What tests of dpone stand on: services, the in-memory connector, testkits and the conformance suite."""
