"""What do the runs say, in words? The answer first: every sentence of it has its home here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nbrnn.errors import install_command
from nbrnn.naming import PER_CHARACTER, short_texts
from nbrnn.reports.comparison import SURE, digits
from nbrnn.reports.rows import after, figure_of, interval_of, lost_of, rows_of, with_range
from nbrnn.reports.tables import Results
from nbrnn.statistics.best import LEAST_P
from nbrnn.statistics.chances import MEANINGFUL
from nbrnn.statistics.effects import OF_RANKS, Effect, Interaction
from nbrnn.statistics.importance import FEWEST, ROUGH
from nbrnn.statistics.stats import Mean, interquartile_mean, mean_of, skewness
from nbrnn.storage.schemas import DROPPED

MOST_NAMED = 3  # configurations, values or interactions in one sentence
MOST_EFFECTS = 4
GAIN = 0.05  # by which pairing must shorten intervals to be spoken of
TRIES = 5  # that somebody can afford
LEAST_TOGETHER = 0.1  # of the variance of ranks, from which two settings are told of
SHORT_SHARE = 1 / 4  # of the updates, after which a ranking is spoken of

ANSWER_METHOD = (
    "Which configurations may be the best: multiple comparisons with the best (Hsu, Annals of "
    "Statistics 12, 1984), each configuration a control after Dunnett, with Welch's statistics for "
    "unequal variances and seeds, variances that borrow from each other (Smyth, Statistical "
    "Applications in Genetics and Molecular Biology 3, 2004), and skewness removed after Hall "
    "(Journal of the Royal Statistical Society B 54, 1992); one is surely worse where p < "
    f"{LEAST_P:.3g}, one-sided. What a setting does is averaged over all values of the others, each "
    "combination weighing the same; intervals after Satterthwaite, tests after Brunner, Dette and "
    "Munk (Journal of the American Statistical Association 92, 1997), corrected for their number "
    "after Holm. Where combinations are missing, effects that add up are fitted by least squares, "
    "and where there are too few for that, the ranks of configurations are tested after Kruskal and "
    "Wallis, one setting at a time. Their shares and interactions are then told by functional "
    "analysis of variance of what a random forest predicts of these ranks (fANOVA: Hutter, Hoos and "
    "Leyton-Brown, ICML 2014), if scikit-learn is installed and the forest predicts configurations "
    "that it has not seen (out-of-bag R² above 0). With few configurations these shares are closer to "
    "one another than they should be, and of what two settings do only together most is found from a "
    "hundred on. The expected best of n runs: Dodge et al., Show your work, 2019, with bootstrap "
    "intervals. The probability that a run of one "
    f"configuration beats one of another counts as meaningful from {MEANINGFUL} on (Bouthillier et "
    "al., Accounting for variance in machine learning benchmarks, 2021). Seeds that would tell a "
    "difference: with a power of 80 %, at 5 %. Whether rankings by shorter runs hold: Spearman's and "
    "Kendall's rank correlations of means, and by how much the best mean of what is kept is higher "
    "than the best of all, which is above 0 also where all are equal; between the numbers given with "
    "it rankings by as many new seeds would fall, by the bootstrap over each configuration's runs."
)


def answers(results: Results) -> list[str]:
    """Return what the runs say by the measure that ranks them, the most important first."""
    return [*verdict(results), *outlook(results)]


def verdict(results: Results) -> list[str]:
    """Return which configuration is best, which may be as good, and what each setting does."""
    if not results.findings.losses:
        return ["No run has finished yet."]
    said = [best(results), *dropped(results)]
    if len(results.findings.names) > 1:
        said += [*rivals(results), *effects(results)]
    return said


def outlook(results: Results) -> list[str]:
    """Return what more runs would tell, what luck does, and whether shorter runs would have done."""
    said = short_runs(results)
    if len(results.findings.names) > 1:
        said = [*open_questions(results), *chances(results), *said]
    return said


def best(results: Results) -> str:
    """Say which configuration has the lowest mean, and how sure that mean is."""
    findings, measure = results.findings, results.best
    name, unit = findings.names[0], findings.unit
    losses = findings.losses[name]
    mean = mean_of(losses)
    facts = [f"{len(losses)} seed{'s' if len(losses) != 1 else ''}"]
    if np.isfinite(mean.low):
        facts.insert(0, f"95 % CI {interval_of(mean.low, mean.high, unit)}")
    skewed, error = skewness(losses)
    if abs(skewed) > 2 * error:
        middle = figure_of(interquartile_mean(losses), unit)
        facts.append(f"skewed: interquartile mean {middle}")
    what = "Best of what was kept" if dropped(results) else "Best"
    return f"{what}: {name}: {measure.words} {figure_of(mean.mean, unit)} {unit} ({', '.join(facts)})."


def dropped(results: Results) -> list[str]:
    """Say which configurations successive halving has dropped, and after how much of their updates."""
    shares: dict[str, float] = {}
    for record, name in zip(results.records, results.runs["setting"], strict=True):
        if record.summary.status == DROPPED:
            whole = record.config.length(record.corpus.characters)
            shares[name] = max(record.summary.updates / whole, shares.get(name, 0))
    if not shares:
        return []
    counts = sorted(Counter(shares.values()).items())
    parts = [f"{count:,} after {100 * share:.3g} %" for share, count in counts]
    total = results.runs["setting"].nunique()
    went = f"{len(shares):,} of {total:,} configurations"
    return [f"Dropped, and not ranked: {went}, {', '.join(parts)} of their updates."]


def rivals(results: Results) -> list[str]:
    """Say which configurations may be as good as the best, and which are surely worse."""
    findings = results.findings
    means = dict(zip(findings.names, findings.cells.means, strict=True))

    def with_mean(name: str) -> str:
        return f"{name} ({figure_of(float(means[name]), findings.unit)})"

    if not findings.cells.known:
        each = "One seed each tells" if findings.cells.counts.max() == 1 else "Single seeds tell"
        return [f"{each} nothing of chance: more, --seeds 0:3, would."]
    equals = [name for name in findings.may_be_best if name != findings.names[0]]
    worse = findings.surely_worse
    said = [f"May be as good: {listed(equals, with_mean)}."] if equals else []
    if worse:
        which = "All others" if not equals else f"{len(worse)} of {len(means)}"
        verb = "is" if len(worse) == 1 and equals else "are"
        nearest = "" if len(means) == 2 else "nearest of them "
        said.append(f"{which} {verb} surely worse: {nearest}{with_mean(worse[0])}.")
    return said


def effects(results: Results) -> list[str]:
    """Say what each setting does, and which of them interact."""
    found = results.findings.effects
    if len(found.main) < 2:
        return []  # of a single setting the configurations are the values
    main = sorted(found.main, key=lambda effect: -effect.share)
    if found.method in OF_RANKS:
        shares = listed(main, importance, MOST_EFFECTS)
        of = "what a random forest predicts of the ranks" if found.method == "fanova" else "the ranks"
        return [f"Of {of} of configurations {shares}; {forest(results)}."]
    how = "on average" if found.method == "grid" else "if effects add up"
    said = [main_effect(effect, how) for effect in main[:MOST_EFFECTS]]
    pairs = sorted((one for one in found.interactions if one.p <= SURE), key=lambda one: one.p)
    return said + [interaction(pair, results.best.words) for pair in pairs[:MOST_NAMED]]


def main_effect(effect: Effect, how: str) -> str:
    """Say which value of a setting is best, and which ones are told from it."""
    texts = words_of(effect.levels)
    name, (first, *rest) = named(effect.setting), [texts[level] for level in effect.levels]
    told = [i for i, p in enumerate(effect.p_holm) if i and p <= SURE]
    if not told:
        most = f"at {rest[-1]} it is higher by {amount(effect.behind[-1])}"
        doubt = "not sure among so many comparisons" if len(rest) > 1 else "which is not sure"
        return f"{name}: {how} the loss is lowest at {first}; {most}, {doubt}."
    if len(effect.levels) == 2:
        low, high = effect.behind[1].low, effect.behind[1].high
        lower = f"{digits(effect.behind[1].mean)} lower at {first} than at {rest[0]}"
        return f"{name}: {how} the loss is {lower} (95 % CI {digits(low)} to {digits(high)})."
    higher = listed(told, lambda i: f"{amount(effect.behind[i])} at {texts[effect.levels[i]]}", 2)
    unsure = " or ".join([text for i, text in enumerate(rest, 1) if i not in told][:MOST_NAMED])
    also = f", perhaps no lower than at {unsure}" if unsure else ""
    return f"{name}: {how} the loss is lowest at {first}{also}; it is higher by {higher}."


def importance(effect: Effect) -> str:
    """Say how much of the ranks a setting accounts for, and at which of its values they are best."""
    chance = "" if effect.p <= SURE else ", perhaps by chance"
    text = words_of(effect.levels)[effect.levels[0]]
    where = f"{text} best" if not chance else f"p = {effect.p:.2f}"
    return f"{named(effect.setting)} explains {effect.share:.0%} ({where}{chance})"


def forest(results: Results) -> str:
    """Say which settings matter together, and how good the forest is that says so."""
    effects, count = results.findings.effects, len(results.findings.names)
    if (found := effects.importance) is None:
        how = "" if count < FEWEST else f": that takes fANOVA ({install_command('importance')})"
        return f"interactions are not looked at{how}"
    trees = f"a random forest over {count:,} configurations (out-of-bag R² {found.r_squared:.2f})"
    if effects.method == "ranks":
        return f"fANOVA tells no more, as {trees} predicts nothing"
    pairs = [(names, share) for names, share in effects.together if share >= LEAST_TOGETHER]
    together = listed(pairs, lambda pair: f"{' with '.join(map(named, pair[0]))} {pair[1]:.0%}")
    more = f"together, beyond each alone, {together}; " if pairs else ""
    rough = ", rough with so few configurations" if count < ROUGH else ""
    return f"{more}fANOVA by {trees}{rough}"


def interaction(pair: Interaction, measure: str) -> str:
    """Say how the effect of one setting depends on another one."""
    values, at = words_of({pair.base, pair.other}), words_of(set(pair.at))
    setting, by = named(pair.setting), named(pair.by)
    first, second = pair.change
    once = f"{moves(first)} the {measure} by {size(first)} at {by} {at[pair.at[0]]}"
    again = "but" if (first.mean < 0) != (second.mean < 0) else "and"
    then = f"{again} {moves(second)} it by {size(second)} at {by} {at[pair.at[1]]}"
    step = f"{setting} {values[pair.other]} instead of {values[pair.base]}"
    return f"{setting} and {by} interact: {step} {once}, {then}."


def moves(change: Mean) -> str:
    """Say in which direction a loss changes."""
    return "lowers" if change.mean < 0 else "raises"


def size(change: Mean) -> str:
    """Return by how much a loss changes, whichever way, with its interval."""
    if change.mean < 0:
        change = replace(change, mean=-change.mean, low=-change.high, high=-change.low)
    return amount(change)


def open_questions(results: Results) -> list[str]:
    """Say what would settle what is open."""
    findings = results.findings
    if (step := findings.cheapest_next()) is None:
        return []
    difference, more = step
    per = " per character" if findings.unit == PER_CHARACTER else ""
    nats = "nat" if difference == 1 else "nats"
    seeds = "seed" if more == 1 else "seeds"
    told = f"a difference of {difference:g} {nats}{per} between the best two"
    return [f"About {more:,} more {seeds} each would tell {told}."]


def chances(results: Results) -> list[str]:
    """Say what luck does: the best of several runs, one run against another, common seeds."""
    findings, said = results.findings, []
    if bands := findings.bands_in(TRIES):
        said.append(several_runs(bands, findings.names[0], findings.unit))
    rows = results.comparison[results.comparison["measure"] == results.best.column]
    other = findings.surely_worse[0] if findings.surely_worse else findings.names[1]
    one = rows[(rows["a"] == findings.names[0]) & (rows["b"] == other)]
    if len(one) and np.isfinite(one["improvement_low"].iloc[0]):
        p, low, high = (float(one[f"improvement{end}"].iloc[0]) for end in ("", "_low", "_high"))
        against = "the nearest surely worse" if findings.surely_worse else "the next"
        said.append(
            f"A run of the best beats one of {against} with a probability of {p:.2f} "
            f"({low:.2f} to {high:.2f}): {meaning(low, high)}."
        )
    correlations = rows["correlation"].dropna()
    if len(correlations):
        paired = bool(rows["paired"].any())
        said.append(common_seeds(float(correlations.mean()), len(correlations), paired))
    return said


def several_runs(bands: Mapping[str, tuple[float, float, float]], best: str, unit: str) -> str:
    """Say of which configuration the best of several runs is expected to be lowest, and how low."""

    def expected(name: str) -> str:
        value, low, high = bands[name]
        return f"{figure_of(value, unit)} ({interval_of(low, high, unit)})"

    lowest = min(bands, key=lambda name: bands[name][0])
    if lowest == best:
        take = f"take the same: their best is expected at {expected(best)}"
    else:
        first, second = expected(lowest), expected(best)
        take = f"take {lowest}: their best is expected at {first}, that of {best} at {second}"
    return f"If you can afford {TRIES} runs, {take}."


def meaning(low: float, high: float) -> str:
    """Say whether the probability of an improvement within an interval is meaningful."""
    if low >= MEANINGFUL:
        return f"meaningful, surely at least {MEANINGFUL}"
    if high < MEANINGFUL:
        return f"too little to be meaningful, surely below {MEANINGFUL}"
    return f"perhaps meaningful, which {MEANINGFUL} and more would be"


def short_runs(results: Results) -> list[str]:
    """Say whether the ranking after some of the length holds in the end, and what trusting it costs."""
    table = results.lengths
    said = rows_of(table[(table["by"] == "share") & (table["short"] >= SHORT_SHARE)][:1])
    for _, of_unit in table[table["by"] != "share"].groupby("by", sort=False):
        ordered = of_unit.sort_values(["long", "short"], ascending=[False, True])
        said = rows_of(ordered[:1])
    sentences = []
    for row in said:
        value, low, high = (f"{row['spearman' + end]:.2f}" for end in ("", "_low", "_high"))
        rho = with_range(value, low, high, "with new seeds ")
        half, one = lost_of(row, "half"), lost_of(row, "best")
        sentences.append(
            f"Ranked after {after(row)}: rank correlation with the end {rho}; going on with the better "
            f"half alone would have lost {half} {row['unit']}, with the best one alone {one}."
        )
    return sentences


def common_seeds(correlation: float, pairs: int, paired: bool) -> str:
    """Say whether runs of the same seed have something in common, and what pairing them gains."""
    shorter = 1 - np.sqrt(1 - min(max(correlation, 0), 1))
    gain = f"shortens intervals by {shorter:.0%}" if shorter >= GAIN else "gains nothing"
    over = f"in the mean of {pairs:,} pairs" if pairs > 1 else "over seeds"
    pairing = "taking differences seed by seed" if paired else "--paired"
    return f"Runs with the same seed correlate by {correlation:.2f} {over}: {pairing} {gain}."


def listed(items: Sequence[Any], text: Callable[[Any], str], most: int = MOST_NAMED) -> str:
    """Return some items in words, and how many more there are."""
    more = f"; and {len(items) - most:,} more" if len(items) > most else ""
    return "; ".join(map(text, items[:most])) + more


def amount(difference: Mean) -> str:
    """Return a difference with its interval."""
    interval = f" ({digits(difference.low)} to {digits(difference.high)})"
    return f"{digits(difference.mean)}{interval if np.isfinite(difference.low) else ''}"


def named(column: str) -> str:
    """Return the name of a setting, by its column."""
    return column.removesuffix("_wanted")


def words_of(values: Iterable[Any]) -> dict[Any, str]:
    """Return a text for each value of a setting, which may be absent."""
    return {v: "none" if v is None else text for v, text in short_texts(values).items()}
