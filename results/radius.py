"""Does the scale of W make AdaGrad's large rates bad? `python -m results.radius`.

Its spectral radius is correlated with the loss; here the scale is changed, radius and norm alike: by a
warm-up of W alone, of all but W, and by dividing W by its radius while AdaGrad's sums are small. Beside
them another way to shorten the first steps: sums that start above 0, which is the same as a larger
epsilon, since that is inside the root. 15,000 updates of the Brontës, 20 seeds. 2,500 runs: some twenty
minutes on two cores. Finished runs are kept in runs.csv, and the same command continues.
"""

import csv
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import joblib
import numpy as np
from scipy.stats import spearmanr

from nbrnn.config import RunConfig
from nbrnn.corpus import Corpus, load
from nbrnn.runs.evaluation import loss_from, mean_over
from nbrnn.runs.training_state import Training, prepare_kernels
from nbrnn.typing import Array
from results.dynamics import spectral_radius
from results.facts import Fact, write_page, write_rows
from results.question import ROOT

HERE = ROOT / "radius"
TEXT, UPDATES, SEEDS = "brontes", 15_000, 20
WARMUP, HELD = 300, 100  # updates
RATES = (0.02, 0.03, 0.05, 0.07, 0.1, 0.14, 0.2, 0.28)
SHOWN = 0.1  # the assignment's
HIDDEN, OTHER_HIDDEN, OTHER_RATES = 100, (25, 50, 200), (0.05, 0.1, 0.2)
RADII = (10, 100, 1000, UPDATES)  # updates after which the radius is measured
NONE, ALL, OF_W, OTHERS, FIXED = "none", "warm-up", "warm-up of W", "warm-up of all but W", "radius 1"
INTERVENTIONS = (NONE, ALL, OF_W, OTHERS, FIXED)
STARTS = (1e-3, 1e-2, 0.1, 1.0, 10.0)
DRAWS = 2000  # bootstrap samples
COLUMNS = [
    "arm",
    "hidden",
    "eta",
    "seed",
    "validation",
    "test",
    "smooth",
    *(f"radius_{n}" for n in RADII),
]


class Place(NamedTuple):
    """One run."""

    arm: str
    hidden: int
    eta: float
    seed: int


def places() -> Iterator[Place]:
    """Yield all runs: everything at 100 hidden units, the interventions at others."""
    arms = (*INTERVENTIONS, *(f"start {s:g}" for s in STARTS))
    for seed in range(SEEDS):
        for eta in RATES:
            yield from (Place(arm, HIDDEN, eta, seed) for arm in arms)
        for hidden in OTHER_HIDDEN:
            for eta in OTHER_RATES:
                yield from (Place(arm, hidden, eta, seed) for arm in INTERVENTIONS)


def config_of(place: Place) -> RunConfig:
    """Return the settings of a run; what is no setting is done while it trains."""
    plain = RunConfig(
        updates=UPDATES, hidden=place.hidden, eta=place.eta, seed=place.seed, validation=0.1, test=0.1,
        sample_every=0,
    )  # fmt: skip
    kind, _, value = place.arm.partition(" ")
    if kind == "start":
        return replace(plain, adagrad_start=float(value))
    return replace(plain, warmup=WARMUP) if place.arm == ALL else plain


def trained(place: Place, corpus: Corpus) -> list[object]:
    """Train one run, with its intervention; return its row."""
    training, radii = Training(config_of(place), corpus), []
    W = training.layout.named(training.buffers.theta)["W"]
    while training.update < UPDATES and not training.diverged:
        if is_intervened(place.arm, training.update):
            one_update(training, place.arm)
        else:
            stops = [
                training.updates_per_epoch * (1 + training.update // training.updates_per_epoch),
                *RADII,
            ]
            training.advance(min(n for n in stops if n > training.update) - training.update)
        if training.update in RADII:
            radii.append(spectral_radius(W))
    radii += [np.nan] * (len(RADII) - len(radii))
    parts = training.config.parts(len(corpus))
    losses = [
        np.inf if training.diverged else loss_on(training, corpus.stretches(part))
        for part in (parts.validation, parts.test)
    ]
    return [*place, *losses, training.carry.smooth / training.config.characters_in_loss, *radii]


def is_intervened(arm: str, update: int) -> bool:
    """Return whether the next update is changed."""
    return (arm in (OF_W, OTHERS) and update < WARMUP) or (arm == FIXED and update < HELD)


def one_update(training: Training, arm: str) -> None:
    """Do one update, and shorten the step of some parameters, or scale W to a spectral radius of 1.

    AdaGrad's sums do not depend on the learning rate: a share of its step is the step with that share of
    the rate.
    """
    theta = training.layout.named(training.buffers.theta)
    share = (training.update + 1) / WARMUP
    before = {name: np.array(array) for name, array in theta.items()}
    training.advance(1)
    if arm == FIXED:
        theta["W"][...] /= spectral_radius(theta["W"])
        return
    for name, array in theta.items():
        if (name == "W") == (arm == OF_W):
            array[...] = before[name] + share * (array - before[name])


def loss_on(training: Training, stretches: list[Array]) -> float:
    """Return the loss of the model as it is on a part of the text, from h = 0."""
    layout, theta, T = training.layout, training.buffers.theta, training.config.seq_length
    return mean_over(stretches, lambda codes: loss_from(None, layout, theta, codes, T))


# ---------------------------------------------------------------- what is kept


def read_runs() -> dict[Place, dict[str, float]]:
    """Return the runs that are done."""
    if not (HERE / "runs.csv").exists():
        return {}
    whole, _, _ = (HERE / "runs.csv").read_text().rpartition("\n")  # the last line may be cut short
    rows = csv.DictReader(whole.splitlines())
    return {
        Place(row["arm"], int(row["hidden"]), float(row["eta"]), int(row["seed"])): {
            name: float(row[name]) for name in COLUMNS[4:]
        }
        for row in rows
    }


def train_all() -> dict[Place, dict[str, float]]:
    """Train all runs that are not done, and return all."""
    corpus, done = load(TEXT), read_runs()
    write_rows(HERE / "runs.csv", COLUMNS, [[*place, *row.values()] for place, row in done.items()])
    left = [place for place in places() if place not in done]
    prepare_kernels(RunConfig(validation=0.1))
    jobs = joblib.Parallel(n_jobs=-1, backend="threading", return_as="generator_unordered")
    with (HERE / "runs.csv").open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        for row in jobs(joblib.delayed(trained)(place, corpus) for place in left):
            writer.writerow(row)
            file.flush()
    return read_runs()


# ---------------------------------------------------------------- what it says


def by_seed(
    runs: dict[Place, dict[str, float]], arm: str, hidden: int, eta: float, column: str
) -> Array:
    """Return a number of each seed."""
    found = {p.seed: row[column] for p, row in runs.items() if p[:3] == (arm, hidden, eta)}
    return np.array([found[seed] for seed in sorted(found)])


def share_of_gain(none: Array, warmup: Array, arm: Array) -> tuple[float, float, float]:
    """Return how much of the warm-up's gain in the median loss an arm has, with its 95 % interval.

    The same seeds in all three: the bootstrap draws seeds.
    """
    draws = np.random.default_rng(0).integers(0, none.size, (DRAWS, none.size))
    medians = [np.median(losses[draws], axis=1) for losses in (none, warmup, arm)]
    shares = (medians[0] - medians[2]) / (medians[0] - medians[1])
    value = (np.median(none) - np.median(arm)) / (np.median(none) - np.median(warmup))
    low, high = np.quantile(shares, (0.025, 0.975))
    return float(value), float(low), float(high)


def rank_correlation(a: Array, b: Array) -> float:
    """Return Spearman's correlation."""
    return float(spearmanr(a, b).statistic)


def facts_of(runs: dict[Place, dict[str, float]]) -> dict[str, Fact]:
    """Return what the page tells."""
    facts: dict[str, Fact] = {"updates": UPDATES, "warmup": WARMUP, "held": HELD, "eta": SHOWN}
    facts["seeds"] = len({place.seed for place in runs})
    losses = {arm: by_seed(runs, arm, HIDDEN, SHOWN, "test") for arm in {p.arm for p in runs}}
    for arm, of_seeds in sorted(losses.items()):
        name = arm.replace(" ", "_").replace("-", "")
        facts[f"{name}_median"], facts[f"{name}_worst"] = (
            float(np.median(of_seeds)),
            float(max(of_seeds)),
        )
        facts[f"{name}_better"] = int((of_seeds < losses[NONE]).sum())
        facts[f"{name}_radius"] = float(np.median(by_seed(runs, arm, HIDDEN, SHOWN, "radius_100")))
        share = share_of_gain(losses[NONE], losses[ALL], of_seeds)
        ends = ("share", "share_low", "share_high")
        facts |= {f"{name}_{end}": value for end, value in zip(ends, share, strict=True)}
    within = [
        rank_correlation(*(by_seed(runs, NONE, HIDDEN, eta, c) for c in ("radius_100", "test")))
        for eta in RATES
    ]
    facts |= {
        "within_mean": float(np.mean(within)),
        "within_low": min(within),
        "within_high": max(within),
    }
    return facts


def write_tables(runs: dict[Place, dict[str, float]]) -> None:
    """Write the medians of each arm by rate, and those of other sizes."""
    arms = list(dict.fromkeys(place.arm for place in places()))
    for name, column in (("losses", "test"), ("radii", "radius_100")):
        write_rows(
            HERE / f"{name}.csv",
            ["", *(f"{eta:g}" for eta in RATES)],
            [[arm, *(np.median(by_seed(runs, arm, HIDDEN, e, column)) for e in RATES)] for arm in arms],
        )
    write_rows(
        HERE / "sizes.csv",
        ["hidden units", "learning rate", *INTERVENTIONS],
        [
            [m, f"{eta:g}", *(np.median(by_seed(runs, arm, m, eta, "test")) for arm in INTERVENTIONS)]
            for m in sorted((HIDDEN, *OTHER_HIDDEN))
            for eta in OTHER_RATES
        ],
    )


def main() -> None:
    """Train what is left, and write everything."""
    runs = train_all()
    write_tables(runs)
    write_page(HERE, facts_of(runs))


if __name__ == "__main__":
    main()
