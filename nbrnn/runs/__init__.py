"""One experiment, from its settings to a folder of files.

`run` takes a RunConfig, a Corpus and a folder, and decides whether there is anything to do. `run_loop`
does it: it advances a `training_state` chunk by chunk, through the windows of `window_order` and by the
learning rates of `schedules`, and commits to the folder of the run; `background_writer` writes
meanwhile, `finalize` adds what belongs to the end. `sampling` and `evaluation` use the model in a
checkpoint, `model` offers both to Python. `provenance` says with what a run was computed, an `observer`
how far it is.
"""
