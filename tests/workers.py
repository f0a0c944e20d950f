"""What tests do in the processes of loky, each of which imports this, and little else."""

import os
import signal

from nbrnn.runs.run import run
from nbrnn.sweeps import loky_backend

run_jobs, run_job = loky_backend.run_jobs, loky_backend.run_job


def die():
    """End as a crash of the machine would end it."""
    os.kill(os.getpid(), signal.SIGKILL)


def checkpoint_often():
    """Let every run of this process keep a checkpoint after each chunk."""
    run.__kwdefaults__["checkpoint_seconds"] = 0


def often_here(pipe, corpus):
    """Run jobs with a checkpoint after each chunk."""
    checkpoint_often()
    run_jobs(pipe, corpus)


def dying_here(marks, run_id, times, pipe, corpus):
    """Run jobs; the run with this id dies in its third chunk, so many times: marks counts them."""

    def run_dying(job, corpus, sender, *options):
        chunks, progressed = iter(range(3)), sender.progressed

        def deadly(progress):
            progressed(progress)
            if next(chunks, None) == 2 and len(list(marks.iterdir())) < times:
                (marks / str(os.getpid())).touch()
                die()

        if job.run_id == run_id:
            sender.progressed = deadly
        return run_job(job, corpus, sender, *options)

    loky_backend.run_job = run_dying
    run_jobs(pipe, corpus)
