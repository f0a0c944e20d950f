"""The answer of a sweep in words, the most important sentence first."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

import numpy as np

from nbrnn.analysis.comparison_text import two_digits
from nbrnn.analysis.effects import RANK_METHODS, Effect, Interaction
from nbrnn.analysis.findings import SMALLEST_DIFFERENCE
from nbrnn.analysis.grid_edges import Edge, edges_of
from nbrnn.analysis.multiple_comparisons import MAX_SEEDS, false_claims, fewest_seeds
from nbrnn.analysis.rank_statistics import SIGNIFICANT, expected_best
from nbrnn.analysis.result_tables import Results, column_of
from nbrnn.analysis.setting_importance import MIN_CONFIGURATIONS, ROUGH_BELOW
from nbrnn.errors import StoreError, install_command
from nbrnn.naming import PER_CHARACTER
from nbrnn.report.formatting import (
    MAX_NAMED,
    difference_text,
    interval_text,
    list_text,
    loss_text,
    setting_name,
    value_texts,
)
from nbrnn.report.reproducibility import as_typed
from nbrnn.storage.schemas import DROPPED, SweepRequest
from nbrnn.storage.sweep_folder import SweepFolder
from nbrnn.values import plural

MAX_EFFECTS = 4
THIRDS_IN_WORDS = {"low": "the lowest third", "middle": "the middle third", "high": "the highest third"}
MIN_CORRELATION = 0.3  # of runs with the same seed, from which pairing them is worth trying
TRIES = 5  # runs that somebody can afford
MIN_JOINT_SHARE = 0.1  # of the variance of ranks, from which a pair of settings is mentioned


def answers(results: Results) -> list[str]:
    """Return the answer by the measure that ranks configurations, the most important sentence first."""
    return [*verdict(results), *outlook(results)]


def verdict(results: Results) -> list[str]:
    """Return which configuration is best, which are significantly worse, and the effect of settings."""
    if not results.findings.losses:
        return ["No run has finished yet."]
    sentences = [best(results), *dropped(results)]
    if len(results.findings.names) > 1:
        sentences += [*rivals(results), *far_off(results), *effects(results), *edges(results)]
    return sentences


def outlook(results: Results) -> list[str]:
    """Return the use of more seeds and of several runs."""
    if len(results.findings.names) < 2:
        return []
    if results.folds > 1:  # parts of a text are no draws of which more could be made
        return []
    return [*seeds_needed(results), *analyses(results), *variability(results)]


def best(results: Results) -> str:
    """Return which configuration has the lowest median, with its interval, and which are identical."""
    findings, measure = results.findings, results.best
    name, unit, median = findings.names[0], findings.unit, findings.best
    losses, count = findings.losses[name], len(findings.losses)
    details = [plural(len(losses), results.replicate)]
    if np.isfinite(median.low):
        chosen = f", as the best of {count + findings.dropped}" if count > 1 or findings.dropped else ""
        details.append(f"95 % CI{chosen}: {interval_text(median.low, median.high, unit)}")
    elif len(losses) > 1:
        details.append(f"from {interval_text(losses.min(), losses.max(), unit)}")
    which = "Best" if count > 1 else "Only configuration"
    if dropped(results):
        which = "Best of the configurations kept"
    middle = "median " if len(losses) > 1 else ""
    value = f"{middle}{measure.words} {loss_text(median.value, unit)} {unit} ({'; '.join(details)})"
    same = [" = ".join([first, *others]) for first, others in findings.same.items()]
    alike = f" Bit-identical, counted as one: {list_text(same, str)}." if same else ""
    return f"{which}: {name}: {value}.{alike}"


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
    medians = {name: float(np.median(losses)) for name, losses in findings.losses.items()}

    def with_median(name: str) -> str:
        return f"{name} ({loss_text(medians[name], findings.unit)})"

    if findings.too_few:
        least = fewest_seeds(len(medians), findings.paired)
        more = (
            f"at least {least} are needed" if results.folds > 1 else f"use --seeds 0:{least - 1} or more"
        )
        return [f"Too few {results.replicate}s to judge which configurations are worse: {more}."]
    unknown, worse = findings.unknown, findings.significantly_worse
    equals = [name for name in findings.names[1:] if name not in (*worse, *unknown)]
    sentences = [f"Not significantly worse: {list_text(equals, with_median)}."] if equals else []
    if len(medians) == 2 and worse:
        sentences.append(f"Significantly worse: {with_median(worse[0])}.")
    elif worse:
        some = len(worse) < len(medians) - 1
        which = f"{len(worse)} of {len(medians)} configurations" if some else "all others"
        sentences.append(f"Significantly worse: {which}; the best of them is {with_median(worse[0])}.")
    if unknown:
        sentences.append(f"Too few {results.replicate}s to judge: {list_text(unknown, with_median)}.")
    return sentences


def far_off(results: Results) -> list[str]:
    """Return which runs are far off the others; medians and ranks do not depend on how far."""
    unit, runs = results.findings.unit, results.findings.far_off
    medians = results.configurations.set_index("setting")[f"{results.best.column}_median"]

    def with_side(run: tuple[str, int, float]) -> str:
        name, seed, loss = run
        side = "lower" if loss < medians[name] else "higher"
        return f"{name}, seed {seed} ({loss_text(loss, unit)}, {side})"

    names = list_text(runs, with_side)
    return [f"Far off the other runs: {names}. Medians and ranks are used here."] if runs else []


def effects(results: Results) -> list[str]:
    """Return the effect of each setting, and which of them interact."""
    effects = results.findings.effects
    main = [
        effect
        for effect in effects.main
        if not effect.means or any(one.value or one.low or one.high for one in effect.differences)
    ]  # of which any runs differ
    if len(effects.main) < 2 or not main:
        return []  # of a single setting the configurations are the values
    main.sort(key=lambda effect: (bool(effect.within), -effect.share))
    shares = [effect for effect in main if effect.method in RANK_METHODS]
    sentences = [main_effect(effect) for effect in main[:MAX_EFFECTS] if effect not in shares]
    for method in dict.fromkeys(effect.method for effect in shares):
        of = " that a random forest predicts" if method == "fanova" else ""
        own = [effect for effect in shares if effect.method == method]
        listed = list_text(own, rank_share, MAX_EFFECTS)
        sentences.append(f"Share of the variance of the ranks{of}: {listed}.")
    sentences += forest(results) if shares else []
    pairs = [pair for pair in effects.interactions if pair.p <= SIGNIFICANT]
    return sentences + [interaction(pair, results.best.words) for pair in pairs[:MAX_NAMED]]


def main_effect(effect: Effect) -> str:
    """Return which value of a setting is best, and which ones are significantly worse."""
    texts = value_texts(effect.levels)
    name, (first, *rest) = setting_name(effect.setting), [texts[level] for level in effect.levels]
    name += f" (within {effect.within})" if effect.within else ""
    worse = [i for i, p in enumerate(effect.p_holm) if i and p <= SIGNIFICANT]
    if not worse or effect.p > SIGNIFICANT:
        return f"{name}: no significant effect; lowest at {first}."
    higher = [
        f"{difference_text(effect.differences[i])} higher at {texts[effect.levels[i]]}" for i in worse
    ]
    equal = [text for i, text in enumerate(rest, 1) if i not in worse][:MAX_NAMED]
    but = f" (not significantly better than {' or '.join(equal)})" if equal else ""
    return f"{name}: the loss is lowest at {first}{but}, {list_text(higher, str, 2)}."


def rank_share(effect: Effect) -> str:
    """Return the share of a setting in the variance of ranks, and its best value."""
    best_value = value_texts(effect.levels)[effect.levels[0]]
    best_value = THIRDS_IN_WORDS.get(best_value, best_value)
    what = f"best: {best_value}" if effect.p <= SIGNIFICANT else f"p = {effect.p:.2f}, not significant"
    within = f" within {effect.within}" if effect.within else ""
    return f"{setting_name(effect.setting)} {effect.share:.0%}{within} ({what})"


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
    first, second = (
        f"by {difference_text(change)} at {by} {at[value]}"
        for change, value in zip(pair.change, pair.at, strict=True)
    )
    step = f"{setting} {values[pair.other]} instead of {values[pair.base]}"
    return f"{setting} and {by} interact: {step} changes the {measure} {first}, and {second}."


def edges(results: Results) -> list[str]:
    """Return which settings have their best value at the edge of those tried, and what to try next."""
    table = results.configurations.set_index("setting")
    values = table.loc[results.findings.names[0]]
    columns = {column_of(name): values[column_of(name)] for name in results.swept}
    found = edges_of(results.findings.effects, columns)
    return [
        f"{edge.setting}: the best value is the {'largest' if edge.is_largest else 'smallest'} tried. "
        f"Try {command_beyond(results, edge)}"
        for edge in found
    ]


def command_beyond(results: Results, edge: Edge) -> str:
    """Return the command that tries the next values: that of the sweep, where it is known."""
    option = f"--{edge.setting.replace('_', '-')}"
    values = ",".join(f"{value:g}" for value in edge.next_values)
    requests: list[SweepRequest] = []
    with suppress(StoreError):
        requests = SweepFolder(results.records[0].folder.path.parent.parent).read_requests()
    command = requests[-1].command if requests else []
    if option in command[:-1]:
        place = command.index(option) + 1
        return as_typed([*command[:place], values, *command[place + 1 :]])
    return f"{option} {values}"


def seeds_needed(results: Results) -> list[str]:
    """Return how many seeds detect the smallest difference of interest."""
    findings = results.findings
    lowest = float(np.median(findings.losses[findings.names[0]]))
    difference = results.smallest_difference or SMALLEST_DIFFERENCE * abs(lowest)
    if (seeds := findings.seeds_for(difference)) is None:
        return []
    per = " per character" if findings.unit == PER_CHARACTER else ""
    share = "" if results.smallest_difference else f" ({100 * SMALLEST_DIFFERENCE:g} % of the loss)"
    what = f"a difference of {two_digits(difference)} nats{per}{share} from the best"
    have = min(map(len, findings.losses.values()))
    if seeds > MAX_SEEDS:
        return [f"To detect {what} with a power of 80 % takes more than {MAX_SEEDS:,} seeds for each."]
    if have >= seeds:
        return [f"{plural(have, 'seed')} each detect {what} with a power of 80 %."]
    about = f"{float(f'{seeds:.2g}'):,.0f}"
    return [f"To detect {what} with a power of 80 %, plan about {about} seeds for each beforehand."]


def analyses(results: Results) -> list[str]:
    """Return with how many seeds these runs were reported before, and what that does to 5 %."""
    if len(results.analyses) < 2:
        return []
    count = len(results.findings.names)
    once, rate = false_claims(count, results.analyses[-1:]), false_claims(count, results.analyses)
    seeds = ", ".join(map(str, results.analyses))
    return [
        f"This report was made {len(results.analyses)} times as seeds were added ({seeds}). Of {count} "
        f"equal configurations some would be called worse in up to {rate:.0%} instead of {once:.0%}."
    ]


def variability(results: Results) -> list[str]:
    """Return the best of several runs, and whether runs of the same seed are alike."""
    findings, sentences = results.findings, []
    if len(losses := findings.losses[findings.names[0]]) > TRIES:
        reach = loss_text(expected_best(losses, TRIES), findings.unit)
        sentences.append(f"The best of {TRIES} runs of the best configuration reaches about {reach}.")
    rows = results.comparison[results.comparison["measure"] == results.best.column]
    correlation = float(rows["correlation"].dropna().mean())
    if correlation >= (-1 if findings.paired else MIN_CORRELATION):
        more = "" if findings.paired else ": --paired would find smaller differences in new runs"
        sentences.append(f"Runs with the same seed correlate by {correlation:.2f}{more}.")
    return sentences
