"""Is somebody else's program right, and if not, where is its fault?

`check` compares what a program computed with what is right, and names what is likely wrong. Its arrays
come out of a file by `arrays` and get their meaning from their names by `spellings`, from their shapes
by `problem`. `reference` is the whole computation in NumPy, with a switch for each mistake that people
make; `steps` is the same for optimizers and the smooth loss. `matching` says how near two arrays are,
and what would be float32 rounding alone, `multiples` whether one is a multiple of the other or clipped,
`places` where they begin to differ. `forwards`, `gradients` and `updates` search for the fewest
mistakes that give just what the program gave; `causes` has the sentences, `examine`, `after` and
`series` make the `report`. `case` makes an exercise to feed one's program.
"""
