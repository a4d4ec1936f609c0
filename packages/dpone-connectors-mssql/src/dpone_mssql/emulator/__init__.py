"""A stand-in for SQL Server where none can be had: TDS 7.4 on loopback, T-SQL translated for a PostgreSQL behind it.

It lets the genuine drivers, TLS, parameters, transactions and bulk copy run over the wire. It is no SQL Server: it says
so in `@@VERSION`, knows the T-SQL that this package renders, and refuses other statements by name. Readers see row
versions, as with READ_COMMITTED_SNAPSHOT. Only the testkit imports it.
"""
