"""A trained model, for Python."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any, get_args

from nbrnn.config import RunConfig
from nbrnn.corpus import MAX_PATH, encode, read_text
from nbrnn.documents import delimited_again, documents_again
from nbrnn.errors import CorpusError
from nbrnn.naming import folder_path
from nbrnn.runs.evaluation import Reading, gradients, read, score, softmax
from nbrnn.runs.finalize import loss_figure_of
from nbrnn.runs.sampling import sample
from nbrnn.storage.checkpoint import Kind, State
from nbrnn.storage.model_archive import open_run
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.schemas import Summary
from nbrnn.text_files import label_of
from nbrnn.typing import Array
from nbrnn.values import check_choice, check_range


class Model:
    """The best or the last model in the folder of a run, or the snapshot after an update; a model file.

    A notebook shows the picture of its loss.

    Characters of a text that are not in its alphabet become `replacement`; without one they raise a
    CorpusError. Raises StoreError if there is no such model.
    """

    def __init__(self, folder: Path | str, checkpoint: Kind | int = "best") -> None:
        if not isinstance(checkpoint, int):
            check_choice("--checkpoint", checkpoint, get_args(Kind))
        self.folder = open_run(folder_path(folder))
        self.checkpoint = self.folder.read_model(checkpoint)

    @property
    def config(self) -> RunConfig:
        """The settings of its training."""
        return self.checkpoint.config

    @property
    def alphabet(self) -> str:
        """Its K characters, in the order of the columns of `probabilities`."""
        return self.checkpoint.alphabet

    @property
    def snapshots(self) -> list[int]:
        """The updates after which its run kept a snapshot, each a `checkpoint` of Model."""
        return self.folder.snapshots()

    @property
    def summary(self) -> Summary:
        """The summary of its run, as in summary.json."""
        return self.folder.read_summary()

    def sample(
        self,
        length: int = 1000,
        *,
        prime: str = "",
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 0,
        replacement: str | None = None,
        state: State | None = None,
    ) -> str:
        """Return a sample of `length` characters after `prime`; the same for the same seed.

        It continues from the state that is stored with the model, or, with the state `zero`, from h_0 =
        0.
        """
        return sample(
            self.checkpoint,
            length,
            prime=prime,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
            replacement=replacement,
            state=state,
        )

    def score(
        self, text: str | os.PathLike[str], *, replacement: str | None = None
    ) -> dict[str, dict[str, Any]]:
        """Return the loss on a text, in four units, beside those of n-gram baselines.

        A path stands for the text in that file. One that learnt from documents reads them one by one.
        """
        if isinstance(text, os.PathLike):
            text = text_to_score(self.folder, os.fspath(text))
        elif isinstance(text, str) and len(text) <= MAX_PATH and os.path.isfile(text):
            raise CorpusError(f"{text} is the name of a file: give Path({text!r}) to score its text")
        elif isinstance(text, str) and self.checkpoint.separator:
            text = delimited_again(text, self.checkpoint.separator)
        codes = encode(text, self.alphabet, replacement)
        return score(self.checkpoint, codes, self.folder.read_ngrams())

    def probabilities(self, text: str, *, replacement: str | None = None) -> Array:
        """Return p_t (N, K): after each of N characters, the probability that each of K is the next one.

        The model reads the text from h_0 = 0, and does not learn from it.
        """
        return softmax(self.read(text, replacement).logits)

    @property
    def weights(self) -> dict[str, Array]:
        """Copies of W, U, V, b, c, shaped as in the equations; of other networks W.1, ... by layer.

        The gates of a layer are stacked in the order of torch.
        """
        return {name: array.copy() for name, array in self.checkpoint.theta.items()}

    def logits(self, text: str, *, replacement: str | None = None) -> Array:
        """Return o_t (N, K) after each of N characters, read from h_0 = 0."""
        return self.read(text, replacement).logits

    def states(
        self, text: str, *, layer: int = -1, state: str = "h", replacement: str | None = None
    ) -> Array:
        """Return h_t (N, m) after each of N characters, read from h_0 = 0.

        `layer` counts from 1; -1 is the top one. `state` is h or, of an LSTM, c.
        """
        layout = self.checkpoint.layout
        check_choice("state", state, layout.kind.states)
        layers = layout.layers
        if layer != -1:
            check_range("layer", layer, 1, layers, whole=True)
        states = self.read(text, replacement).states
        result: Array = states[(layer if layer > 0 else layers) - 1, layout.kind.states.index(state)]
        return result

    def gradients(self, text: str, *, replacement: str | None = None) -> dict[str, Array]:
        """Return the gradient of the loss of a text, shaped and named as `weights`.

        The text is one window, read from h_0 = 0 and back to its beginning; nothing is clipped. Its loss
        is the sum of those of all its characters but the first, or their mean, as in training.
        """
        return gradients(self.checkpoint, encode(text, self.alphabet, replacement))

    def read(self, text: str, replacement: str | None = None) -> Reading:
        """Return the logits (N, K) and all states (layers, states of a cell, N, m) along a text."""
        return read(self.checkpoint, encode(text, self.alphabet, replacement))

    def __repr__(self) -> str:
        return f"Model({str(self.folder)!r}): update {self.checkpoint.update:,}"

    def _repr_png_(self) -> bytes | None:
        """Return the loss of its run as a picture, for a notebook, if it was trained here."""
        if self.summary.status == "imported":
            return None
        from nbrnn.run_plots import save

        file = io.BytesIO()
        save(loss_figure_of(self.folder), file, "png")
        return file.getvalue()


def text_to_score(folder: RunFolder, source: str, encoding: str | None = None) -> str:
    """Return the text in a file as a run reads it: one that learnt from documents, as documents."""
    text, described = read_text(source, encoding), folder.read_config()[1]
    if described.documents:
        text = documents_again(text, described.documents, described.separator, label_of(source))
    return text
