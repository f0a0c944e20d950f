"""How does one experiment proceed, and what does it leave on disk?

`run` takes a RunConfig, a Corpus and a folder. It makes a `training` (the arrays in memory), lets the
kernels advance it chunk by chunk, and commits what came out through `store`, which alone knows the names
of files. What the files say has a type in `records`; a moment of a run, from which it can go on, is a
`checkpoint`. `files` writes whole files and reads regular ones, `sealed` does so for arrays.
`sample` and `score` use the model in a checkpoint; `model` is it from Python. Reports use the reading
side alone: stores, records, checkpoint.
"""
