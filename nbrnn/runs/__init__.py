"""How does one experiment proceed, and what does it leave on disk?

`run` takes a RunConfig, a Corpus and a folder, and decides whether there is anything to do. `execution`
does it: it makes a `training` (the arrays in memory), lets the kernels advance it chunk by chunk through
the windows in the `order` asked for, and commits what came out through `store`, which alone knows the
names of files; `behind` writes them while the training goes on, `outcome` what belongs to a run's end.
What the files say has a type in `records`, how some of them grow stands in `series`; a moment of a
run, from which it can go on, is a `checkpoint`. `files` writes whole files and reads regular ones,
`sealed` does so for arrays. `sample` and `score` use the model in a checkpoint; `model` is it from
Python. Reports use the reading side alone: stores, records, checkpoint.
"""
