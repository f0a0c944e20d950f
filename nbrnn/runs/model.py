"""What can be done with a trained model, from Python?"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, get_args

from nbrnn.config import RunConfig, check_choice
from nbrnn.corpus import encode
from nbrnn.naming import folder_path
from nbrnn.runs.evaluation import probabilities, score
from nbrnn.runs.finalize import loss_figure_of
from nbrnn.runs.sampling import sample
from nbrnn.storage.checkpoint import Kind, State
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.schemas import Summary
from nbrnn.typing import Array


class Model:
    """The model in the folder of a run, its best one or its last; a notebook shows its loss.

    Characters of a text that are not in its alphabet become `replacement`; without one they are a
    CorpusError. Raises StoreError if there is no such model.
    """

    def __init__(self, folder: Path | str, checkpoint: Kind = "best") -> None:
        check_choice("--checkpoint", checkpoint, get_args(Kind))
        self.folder = RunFolder(folder_path(folder))
        self.checkpoint = self.folder.read_model(checkpoint)

    @property
    def config(self) -> RunConfig:
        """The settings that it was trained with."""
        return self.checkpoint.config

    @property
    def alphabet(self) -> str:
        """Its K characters, in the order of the columns of `probabilities`."""
        return self.checkpoint.alphabet

    @property
    def summary(self) -> Summary:
        """What summary.json says of its run."""
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
        """Return `length` characters that it writes after `prime`; the same for the same seed.

        It goes on from the state that was kept with it, or, with the state `zero`, from h_0 = 0.
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

    def score(self, text: str, *, replacement: str | None = None) -> dict[str, dict[str, Any]]:
        """Return its loss on a text, in four units, beside that of models that only count."""
        codes = encode(text, self.alphabet, replacement)
        return score(self.checkpoint, codes, self.folder.read_ngrams())

    def probabilities(self, text: str, *, replacement: str | None = None) -> Array:
        """Return p_t (N, K): after each of N characters, how likely each of K is the next one.

        It reads the text from h_0 = 0 on, and does not learn from it.
        """
        return probabilities(self.checkpoint, encode(text, self.alphabet, replacement))

    def __repr__(self) -> str:
        return f"Model({str(self.folder)!r}): update {self.checkpoint.update:,}"

    def _repr_png_(self) -> bytes | None:
        """Return the loss of its run as a picture, for a notebook, if it was trained here."""
        if self.summary.status == "imported":
            return None
        from nbrnn.plots import save

        file = io.BytesIO()
        save(loss_figure_of(self.folder), file, "png")
        return file.getvalue()
