"""A model in one file, to share: a zip archive (.nbrnn) of what it takes to use it, with its card.

Unpacked, it is the folder of a run with its best model.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory, mkdtemp
from weakref import finalize

import msgspec

from nbrnn.errors import StoreError
from nbrnn.storage import safe_files as files
from nbrnn.storage.checkpoint import Checkpoint
from nbrnn.storage.run_folder import CHECKPOINTS, CONFIG, NGRAMS, SUMMARY, RunFolder
from nbrnn.storage.schemas import Sample

SUFFIX = ".nbrnn"
COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
CARD = "README.md"
MEMBERS = {
    CONFIG: files.MAX_JSON,
    SUMMARY: files.MAX_JSON,
    NGRAMS: files.MAX_LOG,
    CHECKPOINTS["best"]: files.MAX_LOG,
}


class ModelFile(RunFolder):
    """A model file, unpacked into a temporary folder, as the folder of a run. Raises StoreError."""

    def __init__(self, path: Path) -> None:
        self.file, folder = path, mkdtemp(prefix="nbrnn-")
        super().__init__(folder)
        finalize(self, rmtree, folder, ignore_errors=True)
        archive_errors = (zipfile.BadZipFile, zlib.error, EOFError, *files.DECODING_ERRORS)
        try:
            with zipfile.ZipFile(io.BytesIO(files.read_bytes(path, files.MAX_ARRAYS))) as archive:
                for name in set(MEMBERS) & set(archive.namelist()):
                    if archive.getinfo(name).compress_type not in COMPRESSIONS:
                        raise zipfile.BadZipFile
                    if archive.getinfo(name).file_size > MEMBERS[name]:
                        raise StoreError(
                            f"{path} is too large: {name} in it has more than {MEMBERS[name]:,} bytes"
                        )
                    (self / name).write_bytes(archive.read(name))
        except (*archive_errors, RuntimeError):  # an encrypted member
            raise StoreError(f"{path} is damaged, or not a model file of nbrnn") from None
        if not (self.is_run() and self.has(SUMMARY)):
            raise StoreError(f"{path} is damaged, or not a model file of nbrnn")
        try:  # so that it is refused when it is opened
            for read in (self.read_config, self.read_summary, self.read_ngrams, self.read_model):
                read()
        except StoreError as error:
            reason = str(error).replace(str(self.path), str(path))
            raise StoreError(reason.replace(files.RESTORE, "restore from a copy")) from None

    def __str__(self) -> str:
        return str(self.file)

    def read_model(self, kind: object = "best") -> Checkpoint:
        """Return the model. Raises StoreError for another one than the best."""
        if kind != "best":
            raise StoreError(f"{self} holds only the best model: leave --checkpoint out")
        return super().read_model("best")

    def read_samples(self) -> list[Sample]:
        """Return the samples of the training, of which the file has none."""
        return []


def open_run(path: Path) -> RunFolder:
    """Return the folder of a run, which may be packed in a model file. Raises StoreError."""
    return ModelFile(path) if path.suffix.lower() == SUFFIX and path.is_file() else RunFolder(path)


def write_model_file(folder: RunFolder, path: Path, card: str) -> None:
    """Write the best model of a run, with its card in Markdown, as one file. Raises WriteError.

    The same model gives the same bytes. It does not say where the text was on this machine.
    """
    config, corpus = folder.read_config()
    folder.read_model("best")  # raises StoreError, rather than share what is damaged
    public = msgspec.structs.replace(corpus, source=corpus.name, more_sources=())
    with TemporaryDirectory(prefix="nbrnn-") as name:
        clean = RunFolder(name)
        clean.write_config(config, public)
        clean.write_summary(folder.read_summary())
        members = {CARD: card.encode()}
        for member, max_bytes in MEMBERS.items():
            source = clean if clean.has(member) else folder
            if source.has(member):
                members[member] = files.read_bytes(source / member, max_bytes)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            archive.writestr(zipfile.ZipInfo(member), data)  # dated 1980, so that bytes are the same
    files.write_bytes(path, buffer.getvalue())
