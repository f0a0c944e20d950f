"""What do runs and sweeps leave on disk, and how is it read without trust?

What the files say has a type in `records`; how some of them grow stands in `series`; a moment of a run,
from which it can go on, is a `checkpoint`. `files` writes whole files and reads regular ones, `sealed`
does so for arrays, `folders` tells whose a folder is. `run_store` is the folder of a run,
`sweep_store` that of a sweep. Runs and sweeps write through these; reports, checks and exports
read through them, and need nothing else of a run.
"""
