"""What runs and sweeps leave on disk, written atomically and read without trust.

`run_folder` is the folder of a run, `sweep_folder` that of a sweep; what needs runs goes through these.
Below them: `schemas` types the JSON files, `run_logs` the files that grow, `checkpoint` one moment of
a run, `ngram_counts` the counts of its text. `safe_files` writes whole files, `checksummed_arrays`
those of arrays, and `folder_locks` gives a folder to one process.
"""
