"""The card of a model in Markdown: what it is, what it was trained on, how good it is."""

from __future__ import annotations

from importlib.metadata import version
from importlib.resources import files

from nbrnn.config import option_name
from nbrnn.escaping import one_line
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.schemas import Summary
from nbrnn.values import plural

LOSSES = {
    "test_best": "test text, read from h = 0",
    "validation_best": "validation text, read from h = 0",
    "score_best": "beginning of the training text, read from h = 0",
    "nats_per_character_best": "training text, smoothed while it was learning",
}


def model_card(folder: RunFolder, name: str, licence: str | None) -> str:
    """Return the card of the best model of a run. Raises StoreError."""
    config, corpus = folder.read_config()
    summary, model = folder.read_summary(), folder.read_model("best")
    settings = {option_name(key): value for key, value in config.to_dict().items() if value is not None}
    return (
        files("nbrnn.exchange")
        .joinpath("model_card.txt")
        .read_text(encoding="utf-8")
        .format(
            name=escaped(name),
            file=name,
            config=config,
            layers=plural(config.layers, "layer"),
            parameters=model.layout.size,
            update=model.update,
            updates=summary.updates,
            text=escaped(corpus.name),
            corpus=corpus,
            distinct=len(corpus.alphabet),
            licence=escaped(licence) if licence else "not stated",
            losses="\n".join(loss_rows(summary)),
            settings=" ".join(f"{key} {value}" for key, value in settings.items()),
            alphabet=escaped(ascii(corpus.alphabet)),
            version=version("nbrnn"),
        )
    )


def loss_rows(summary: Summary) -> list[str]:
    """Return a row for each loss that is known."""
    rows = []
    for field, words in LOSSES.items():
        loss = getattr(summary, field)
        baseline = getattr(summary, field.replace("best", "unigram"), None)
        if loss is not None:
            rows.append(f"| {words} | {loss:.3f} | {'-' if baseline is None else f'{baseline:.3f}'} |")
    return rows


def escaped(text: str) -> str:
    """Return a text on one line whose characters mean nothing in Markdown or HTML."""
    special = "\\`*_{}[]()<>#+-!|&"
    return "".join("\\" + c if c in special else c for c in one_line(text))
