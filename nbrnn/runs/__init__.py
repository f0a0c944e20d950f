"""How does one experiment proceed?

`run` takes a RunConfig, a Corpus and a folder, and decides whether there is anything to do. `execution`
does it: it makes a `training` (the arrays in memory), lets the kernels advance it chunk by chunk through
the windows in the `order` asked for, and commits what came out through the storage's `run_store`;
`behind` writes it while the training goes on, `outcome` what belongs to a run's end. `sample` and
`score` use the model in a checkpoint; `model` is it from Python.
"""
