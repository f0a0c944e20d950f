"""Made-up runs: what their folders would say."""

import numpy as np
from msgspec import structs

from nbrnn.analysis.run_records import RunRecord
from nbrnn.config import RunConfig
from nbrnn.corpus import Description
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.schemas import Summary


def record(loss, status="finished", text="a", name=None, curves=None, **settings):
    """Return what the folder of a run with this best loss would say.

    curves: its updates, smooth losses, evaluations and validation losses; what else its summary says.
    """
    summary = Summary(status=status)
    if status == "finished":
        summary = structs.replace(summary, smooth_loss_best=loss, smooth_loss_final=loss, updates=100)
    arrays, more = curves or ((np.empty(0),) * 4, {})
    summary = structs.replace(summary, **more)
    names = {
        "name": name or text,
        "source": "",
        "encoding": "utf-8",
        "characters": 100,
        "alphabet": "ab",
    }
    description = Description(sha256=text * 64, **names)
    return RunRecord(RunFolder("nowhere"), RunConfig(**settings), description, summary, *arrays, {})


def grid(means, seeds=8, seed=0):
    """Return runs of configurations over sigma and eta, with these means and a deviation of 1."""
    rng = np.random.default_rng(seed)
    return [
        record(mean + rng.normal(), sigma=sigma, eta=eta, seed=number)
        for (sigma, eta), mean in means.items()
        for number in range(seeds)
    ]


def falling(loss, epochs, seconds=1.0):
    """Return the curves of a run that falls to a loss, each epoch an update of 100, for `record`."""
    updates = np.arange(1, epochs * 100 + 1, 10)
    smooth = loss + 50 * np.exp(-updates / 50)
    means = [float(smooth[i * 10 : i * 10 + 10].mean()) for i in range(epochs)]
    says = {"epoch_mean_loss": means, "seconds": seconds, "updates_per_second": 100.0}
    return (updates, smooth, np.empty(0), np.empty(0)), says


def sweep_over(*sigmas, seeds=3, epochs=4, seconds=1.0, **settings):
    """Return runs over sigma, better the smaller it is."""
    rng = np.random.default_rng(0)
    return [
        record(loss, curves=falling(loss, epochs, seconds), sigma=sigma, seed=seed, **settings)
        for sigma in sigmas
        for seed in range(seeds)
        for loss in [40 + 10 * sigma + rng.normal(0, 0.1)]
    ]
