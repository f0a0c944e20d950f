"""Many experiments: which, where, in parallel, and which are done already?

`grid` says which experiments a request names. `sweep` hands each of them, as a `job`, to a place where
it runs: a thread of this process, a `process` of its own, or a worker of a dask `cluster`. All of them
call the same function, `runs.run.run`, whose folder is what is kept.
"""
