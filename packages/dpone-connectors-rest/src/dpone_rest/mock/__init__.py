"""A REST API for tests: a real HTTP server with every pagination, every login and every failure, all of them planned.

It is imported by the testkit and by tests only, and needs the standard library alone.
"""
