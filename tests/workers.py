"""What tests do in the processes of loky, each of which imports this, and little else."""

import os
import signal

from nbrnn.runs.run import run
from nbrnn.sweeps import loky_backend
from nbrnn.sweeps.job import MessageSender

run_in_child = loky_backend.run_in_child


def die():
    """End as a crash of the machine would end it."""
    os.kill(os.getpid(), signal.SIGKILL)


def checkpoint_often():
    """Let every run of this process keep a checkpoint after each chunk."""
    run.__kwdefaults__["checkpoint_seconds"] = 0


def often_here(job, force):
    """Do a run with a checkpoint after each chunk."""
    checkpoint_often()
    return run_in_child(job, force)


def dying_here(marks, run_id, times, job, force):
    """Do a run; the one with this id dies in its third chunk, so many times: marks counts them."""
    chunks, progressed = iter(range(3)), MessageSender.progressed

    def deadly(self, report):
        progressed(self, report)
        if next(chunks, None) == 2 and len(list(marks.iterdir())) < times:
            (marks / str(os.getpid())).touch()
            die()

    if job.run_id == run_id:
        MessageSender.progressed = deadly
    try:
        return run_in_child(job, force)
    finally:
        MessageSender.progressed = progressed
