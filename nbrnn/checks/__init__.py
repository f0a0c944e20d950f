"""Is a program of somebody else right, and if not, where does it go wrong first?

`check` is the whole: it calls a program's functions (`programs`) or takes its arrays (`submission`).
`equations` has each line of the network in NumPy, `ladder` the exercises that grow, `updates` the
optimizers' steps. `attempts` says which answers are right within `tolerances`, `gradients` where the
first wrong one comes from, and `mistakes` has the few whose name is a hint. `steps` and `sequences`
judge the rest; `case` writes exercises, `grades` is for a class, `report` is the result.
"""
