"""The conformance suite: what every connector must do, collected for each one that is asked for, with nothing to
subclass.

    pytest --pyargs dpone.testing.suite --connector postgres --provider embedded

It knows a connector by its testkit alone (`dpone.testing.testkit`), and the other end of every trip is the store in
memory. Where an engine refuses what a test asks, the connector declares a `Deviation`; the test must then fail with
exactly that error code.

Codes that the suite asks for, beside those of core's own modules: `source.null_cursor`, `source.slot_lost`,
`state.leased`, `state.conflict`. A name that does not fit is a UsageError or a PlanError.
"""
