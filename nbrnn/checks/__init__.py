"""Is a program of somebody else right, and if not, where is its fault?

`check` is the whole; `case` makes an exercise. `arrays` takes a user's arrays, `problem` finds by their
shapes what was computed, `answers` brings the program's answers into the shapes of the equations.
`faults` is the catalogue of mistakes. `reference` is the computation in NumPy with a switch for each of
them, `optimizer_steps` the same for steps. `tolerances` says how near two arrays are, `scalings` whether
one is a multiple of the other or clipped. `forward_search`, `gradient_search` and `step_search` find the
fewest mistakes that give exactly what the program gave; `examination`, `step_findings` and `smooth_loss`
turn them into findings and rows, `finite_differences` excuses coarse ones, and `report` is the result.
"""
