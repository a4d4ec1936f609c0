"""The default rendering of each operation as plain set-based SQL, and the dialect that engines override.

`dialect` spells, `load` names the tables of one load, `operations` renders programs, `questions` renders what is asked
before and after, `seal` renders the sealing of a stage. Nothing here talks to an engine.
"""
