"""What must be true after a load, said of rows alone: the source before and after, the target before and after.

Nothing here knows operations, programs, the oracle or SQL, so that it can contradict all of them. `rows` settles when
two rows are the same, `options` what a load was asked for, `reading` what a source gives, `exchange`, `keyed` and
`history` the rows that must be there, `judge` compares them with those that are.
"""
