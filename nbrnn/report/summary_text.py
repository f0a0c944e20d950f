"""The answer of a sweep in words, the most important sentence first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from nbrnn.analysis.effects import RANK_METHODS, Effect, Interaction
from nbrnn.analysis.importance import MIN_CONFIGURATIONS, ROUGH_BELOW
from nbrnn.analysis.intervals import Mean, interquartile_mean, mean_of, skewness
from nbrnn.analysis.pairwise import SIGNIFICANT, digits
from nbrnn.analysis.results import Results
from nbrnn.errors import install_command
from nbrnn.naming import PER_CHARACTER
from nbrnn.report.formatting import (
    MAX_NAMED,
    difference_text,
    interval_text,
    length_text,
    list_text,
    loss_text,
    plural,
    regret_text,
    rows_of,
    setting_name,
    value_texts,
    with_interval,
)
from nbrnn.storage.schemas import DROPPED

MAX_EFFECTS = 4
MIN_GAIN = 0.05  # by which pairing must shorten intervals to be mentioned
TRIES = 5  # runs that somebody can afford
MIN_JOINT_SHARE = 0.1  # of the variance of ranks, from which a pair of settings is mentioned
SHORT_SHARE = 1 / 4  # of the updates, after which a ranking is mentioned


def answers(results: Results) -> list[str]:
    """Return the answer by the measure that ranks configurations, the most important sentence first."""
    return [*verdict(results), *outlook(results)]


def verdict(results: Results) -> list[str]:
    """Return which configuration is best, which are significantly worse, and the effect of settings."""
    if not results.findings.losses:
        return ["No run has finished yet."]
    sentences = [best(results), *dropped(results)]
    if len(results.findings.names) > 1:
        sentences += [*rivals(results), *effects(results)]
    return sentences


def outlook(results: Results) -> list[str]:
    """Return the use of more seeds, the variability between seeds, and the use of shorter runs."""
    sentences = short_runs(results)
    if len(results.findings.names) > 1:
        sentences = [*more_seeds(results), *variability(results), *sentences]
    return sentences


def best(results: Results) -> str:
    """Return which configuration has the lowest mean, with its interval."""
    findings, measure = results.findings, results.best
    name, unit = findings.names[0], findings.unit
    losses = findings.losses[name]
    mean = mean_of(losses)
    details = [plural(len(losses), results.replicate)]
    if np.isfinite(mean.low):
        details.insert(0, f"95 % CI {interval_text(mean.low, mean.high, unit)}")
    skew, error = skewness(losses)
    if abs(skew) > 2 * error:
        details.append(f"skewed: interquartile mean {loss_text(interquartile_mean(losses), unit)}")
    which = "Best of the configurations kept" if dropped(results) else "Best"
    return (
        f"{which}: {name}: {measure.words} {loss_text(mean.mean, unit)} {unit} ({', '.join(details)})."
    )


def dropped(results: Results) -> list[str]:
    """Return how many configurations successive halving dropped, after which part of their updates."""
    shares: dict[str, float] = {}
    for record, name in zip(results.records, results.runs["setting"], strict=True):
        if record.summary.status == DROPPED:
            share = record.summary.updates / record.config.length(record.corpus.characters)
            shares[name] = max(share, shares.get(name, 0))
    if not shares:
        return []
    counts = sorted(Counter(shares.values()).items())
    parts = ", ".join(f"{count:,} after {100 * share:.3g} %" for share, count in counts)
    which = f"{len(shares):,} of {results.runs['setting'].nunique():,} configurations"
    return [f"Dropped, and not ranked: {which}, {parts} of their updates."]


def rivals(results: Results) -> list[str]:
    """Return which configurations are significantly worse than the best, and which are not."""
    findings = results.findings
    means = dict(zip(findings.names, findings.groups.means, strict=True))

    def with_mean(name: str) -> str:
        return f"{name} ({loss_text(float(means[name]), findings.unit)})"

    if not findings.groups.known:
        which = "One seed each gives" if findings.groups.counts.max() == 1 else "Single seeds give"
        return [f"{which} no estimate of the variability between seeds: add seeds with --seeds 0:3."]
    equals = [name for name in findings.may_be_best if name != findings.names[0]]
    worse = findings.significantly_worse
    sentences = [f"Not significantly worse: {list_text(equals, with_mean)}."] if equals else []
    if len(means) == 2 and worse:
        sentences.append(f"Significantly worse: {with_mean(worse[0])}.")
    elif worse:
        which = f"{len(worse)} of {len(means)} configurations" if equals else "all others"
        sentences.append(f"Significantly worse: {which}; the best of them is {with_mean(worse[0])}.")
    return sentences


def effects(results: Results) -> list[str]:
    """Return the effect of each setting, and which of them interact."""
    effects = results.findings.effects
    if len(effects.main) < 2:
        return []  # of a single setting the configurations are the values
    main = sorted(effects.main, key=lambda effect: -effect.share)
    if effects.method in RANK_METHODS:
        shares = list_text(main, rank_share, MAX_EFFECTS)
        of = "that a random forest predicts" if effects.method == "fanova" else "of configurations"
        return [f"Share of the variance of the ranks {of}: {shares}.", *forest(results)]
    how = "averaged over the other settings" if effects.method == "grid" else "with additive effects"
    sentences = [main_effect(effect, how) for effect in main[:MAX_EFFECTS]]
    pairs = sorted((pair for pair in effects.interactions if pair.p <= SIGNIFICANT), key=lambda p: p.p)
    return sentences + [interaction(pair, results.best.words) for pair in pairs[:MAX_NAMED]]


def main_effect(effect: Effect, how: str) -> str:
    """Return which value of a setting is best, and which ones are significantly worse."""
    texts = value_texts(effect.levels)
    name, (first, *rest) = setting_name(effect.setting), [texts[level] for level in effect.levels]
    start = f"{name}: {how}, the loss is"
    worse = [i for i, p in enumerate(effect.p_holm) if i and p <= SIGNIFICANT]
    if not worse:
        last = f"at {rest[-1]} it is higher by {difference_text(effect.differences[-1])}"
        return f"{start} lowest at {first}; {last}, not significant."
    if len(effect.levels) == 2:
        difference = effect.differences[1]
        interval = f"95 % CI {digits(difference.low)} to {digits(difference.high)}"
        return f"{start} {digits(difference.mean)} lower at {first} than at {rest[0]} ({interval})."
    higher = [f"{difference_text(effect.differences[i])} at {texts[effect.levels[i]]}" for i in worse]
    equal = [text for i, text in enumerate(rest, 1) if i not in worse][:MAX_NAMED]
    but = f", not significantly lower than at {' or '.join(equal)}" if equal else ""
    return f"{start} lowest at {first}{but}; it is higher by {list_text(higher, str, 2)}."


def rank_share(effect: Effect) -> str:
    """Return the share of a setting in the variance of ranks, and its best value."""
    best_value = value_texts(effect.levels)[effect.levels[0]]
    what = f"best: {best_value}" if effect.p <= SIGNIFICANT else f"p = {effect.p:.2f}, not significant"
    return f"{setting_name(effect.setting)} {effect.share:.0%} ({what})"


def forest(results: Results) -> list[str]:
    """Return which settings matter together, and how well the forest behind fANOVA predicts."""
    effects, count = results.findings.effects, len(results.findings.names)
    if (importance := effects.importance) is None:
        hint = "" if count < MIN_CONFIGURATIONS else f" ({install_command('importance')})"
        return [f"Interactions need fANOVA{hint}."] if hint else []
    rough = ", rough with so few configurations" if count < ROUGH_BELOW else ""
    trees = f"a random forest over {count:,} configurations (out-of-bag R² {importance.r_squared:.2f})"
    if effects.method == "ranks":
        return [f"fANOVA adds nothing: {trees} predicts nothing."]
    pairs = [(names, share) for names, share in effects.together if share >= MIN_JOINT_SHARE]
    joint = list_text(pairs, lambda pair: f"{' with '.join(map(setting_name, pair[0]))} {pair[1]:.0%}")
    more = f"Jointly, beyond each alone: {joint}; " if pairs else "Shares "
    return [f"{more}by fANOVA over {trees}{rough}."]


def interaction(pair: Interaction, measure: str) -> str:
    """Return how the effect of one setting depends on another one."""
    values, at = value_texts({pair.base, pair.other}), value_texts(set(pair.at))
    setting, by = setting_name(pair.setting), setting_name(pair.by)
    first, second = (f"{verb} {{}} by {size}" for verb, size in map(direction, pair.change))
    again = "but" if (pair.change[0].mean < 0) != (pair.change[1].mean < 0) else "and"
    step = f"{setting} {values[pair.other]} instead of {values[pair.base]}"
    once = f"{first.format(f'the {measure}')} at {by} {at[pair.at[0]]}"
    twice = f"{second.format('it')} at {by} {at[pair.at[1]]}"
    return f"{setting} and {by} interact: {step} {once}, {again} {twice}."


def direction(change: Mean) -> tuple[str, str]:
    """Return whether a change lowers or raises a loss, and its size."""
    if change.mean < 0:
        lowered = replace(change, mean=-change.mean, low=-change.high, high=-change.low)
        return "lowers", difference_text(lowered)
    return "raises", difference_text(change)


def more_seeds(results: Results) -> list[str]:
    """Return how many more seeds would detect a difference of the best two."""
    if (step := results.findings.next_difference()) is None:
        return []
    difference, seeds = step
    per = " per character" if results.findings.unit == PER_CHARACTER else ""
    nats = f"{difference:g} {'nat' if difference == 1 else 'nats'}{per}"
    more = plural(seeds, "more seed")
    return [f"About {more} each would detect a difference of {nats} between the best two."]


def variability(results: Results) -> list[str]:
    """Return the best of several runs, the probability of improvement, and the use of common seeds."""
    findings, sentences = results.findings, []
    if bands := findings.bands_in(TRIES):
        sentences.append(best_of_several(bands, findings.names[0], findings.unit))
    rows = results.comparison[results.comparison["measure"] == results.best.column]
    worse = findings.significantly_worse
    other = worse[0] if worse else findings.names[1]
    which = "the runner-up" if other == findings.names[1] else other
    pair = rows[(rows["a"] == findings.names[0]) & (rows["b"] == other)]
    if len(pair) and np.isfinite(pair["improvement_low"].iloc[0]):
        p, low, high = (float(pair[f"improvement{end}"].iloc[0]) for end in ("", "_low", "_high"))
        sentences.append(
            f"A run of the best configuration beats a run of {which} with probability {p:.2f} (95 % CI "
            f"{low:.2f} to {high:.2f})."
        )
    correlations = rows["correlation"].dropna()
    if len(correlations):
        paired = bool(rows["paired"].any())
        sentences.append(common_seeds(float(correlations.mean()), len(correlations), paired))
    return sentences


def best_of_several(bands: Mapping[str, tuple[float, float, float]], best: str, unit: str) -> str:
    """Return the configuration whose best of several runs is expected to be lowest, and how low."""

    def expected(name: str) -> str:
        value, low, high = bands[name]
        return with_interval(loss_text(value, unit), interval_text(low, high, unit))

    lowest = min(bands, key=lambda name: bands[name][0])
    if lowest == best:
        return f"With {TRIES} runs, the same configuration is expected to reach {expected(best)}."
    return (
        f"With {TRIES} runs, {lowest} is expected to reach {expected(lowest)}, {best} {expected(best)}."
    )


def common_seeds(correlation: float, pairs: int, paired: bool) -> str:
    """Return whether runs of the same seed correlate, and what pairing them gains."""
    shorter = 1 - np.sqrt(1 - min(max(correlation, 0), 1))
    gain = f"shortens intervals by {shorter:.0%}" if shorter >= MIN_GAIN else "gains nothing"
    over = f" (mean over {pairs:,} pairs)" if pairs > 1 else ""
    pairing = "pairing by seed" if paired else "--paired"
    return f"Runs with the same seed correlate by {correlation:.2f}{over}: {pairing} {gain}."


def short_runs(results: Results) -> list[str]:
    """Return whether the ranking after part of the length holds in the end, and the regret."""
    table = results.lengths
    rows = rows_of(table[(table["by"] == "share") & (table["short"] >= SHORT_SHARE)][:1])
    for _, of_unit in table[table["by"] != "share"].groupby("by", sort=False):
        rows = rows_of(of_unit.sort_values(["long", "short"], ascending=[False, True])[:1])
    sentences = []
    for row in rows:
        value, low, high = (f"{row['spearman' + end]:.2f}" for end in ("", "_low", "_high"))
        rho = with_interval(value, f"{low} to {high}", "with new seeds ")
        half, one = (regret_text(row, kept) for kept in ("half", "best"))
        sentences.append(
            f"The ranking after {length_text(row)} has a rank correlation of {rho} with the final one; "
            f"continuing only the better half would have cost {half} {row['unit']}, only the best {one}."
        )
    return sentences
