"""The default rendering of each operation as plain set-based SQL, and the dialect that engines override.

`dialect` spells, `load` names the tables of one load, `operations` renders programs, `questions` what is asked before
them, `probe` what is measured, `seal` the sealing of a stage. None of these talks to an engine. `perform` carries a
program out over two functions of any driver; `rehearsal` does so on SQLite, whose dialect is in `sqlite`.
"""
