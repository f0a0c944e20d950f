"""Many experiments: which, where, in parallel, and which are done already?

`grid` makes experiments of lists of values. `sweep` gives each a job, leaves out what is done, and has
joblib's threads see to the others, each run wherever it is to be: in this thread, in a process
(`process`) or on a cluster (`cluster`). `job` is what all of these call, and what is told while a run
proceeds. `planning` knows which runs there are and which are done, `halving` which of them go on.
Nothing comes back but summaries: the results are the folders of the runs.
"""
