"""Many runs, in parallel on several backends.

`grid` makes runs of lists of values, `planning` finds those that are done, `successive_halving` drops
the worse ones. `sweep` lets joblib's threads each wait for one run: in that thread, in a process
(`loky_backend`) or on a cluster (`dask_backend`); `job` is what all three call. `cost_estimate` says
how long it takes. A backend returns summaries only: the results are in the folders of the runs.
"""
