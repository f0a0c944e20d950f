"""Is a program of somebody else right, and if not, where does it go wrong first?

`check` is the whole: it takes a program's arrays, or calls its functions (`programs`), and has each part
judged. `equations` has each line of the network in NumPy, `ladder` the exercises that grow.
`user_arrays` brings a program's arrays into the shapes of the equations, `judging` says which are right
within `tolerances`, `first_fault` where the first wrong one comes from, and `mistakes` has those whose
name is a hint. `steps` and `training_and_sampling` judge the rest; `case` writes exercises, `grades` is
for a class, `report` is the result.
"""
