"""One implementation in a process of its own, on one core: answers questions on standard input."""

import importlib
import json
import os
import sys
import time

# Before any library is imported: each is to use one thread.
ONE_THREAD = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}


def main() -> None:
    """Answer `start`, `losses N` and `time N` with one line of JSON each."""
    module, core = sys.argv[1], sys.argv[2]
    if core != "any":
        os.environ.update(ONE_THREAD)
        if hasattr(os, "sched_setaffinity"):  # not on macOS and Windows
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    from bench.problem import Problem

    train = None
    for line in sys.stdin:
        question, argument = line.split(maxsplit=1)
        begun = time.perf_counter()
        try:
            if question == "start":
                train = importlib.import_module(f"bench.{module}").start(Problem(**json.loads(argument)))
                answer = train(1).tolist()
            elif question == "losses":
                answer = train(int(argument)).tolist()
            else:
                train(int(argument))
                answer = None
        except ImportError as error:
            print(json.dumps({"missing": str(error)}), flush=True)
        else:
            seconds = time.perf_counter() - begun
            print(json.dumps({"seconds": seconds, "answer": answer}), flush=True)


if __name__ == "__main__":
    main()
