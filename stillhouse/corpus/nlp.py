"""spaCy pipelines: loaded once, with no more parts than asked for, and never downloaded."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.errors import UserError
from stillhouse.storage.files import sha256_of

if TYPE_CHECKING:
    from spacy.language import Language

PARTS = ("tagger", "morphologizer", "parser", "senter", "attribute_ruler", "lemmatizer", "ner")
# Packages with which spaCy runs models of torch.
BUILT_ON_TORCH = ("spacy_transformers", "spacy_curated_transformers")


@lru_cache(maxsize=4)
def pipeline(model: str, *parts: str) -> Language:
    """The spaCy model (an installed package or a folder) with only these of `PARTS`.

    Raises:
        UserError: there is no such package or folder, or it doesn't load with this spaCy.
    """
    with torch_hidden():
        import spacy

        if not (spacy.util.is_package(model) or Path(model).is_dir()):
            raise UserError(
                f"privacy.nlp_model: {model!r} is neither an installed package nor a folder",
                remedy="install the model with pip, or name the folder it lies in; "
                "nothing is downloaded at run time.",
            )
        try:
            nlp = spacy.load(model, exclude=[part for part in PARTS if part not in parts])
        except (OSError, ValueError) as error:
            raise UserError(
                f"privacy.nlp_model: {model!r} doesn't load: {error}",
                remedy="install a model made for this version of spaCy.",
            ) from error
    # Vectors that are shared by parts which are not here cost a fifth of the time.
    if "tok2vec" in nlp.pipe_names and not nlp.get_pipe("tok2vec").listening_components:  # type: ignore[attr-defined]
        nlp.remove_pipe("tok2vec")
    return nlp


def model_version(model: str) -> str:
    """Name and version of the model, without loading it; for a folder, wherever that lies, a
    digest of its description."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"{model} {version(model)}"
    except PackageNotFoundError:
        described = Path(model) / "meta.json"
        return f"folder {sha256_of(described)[:20]}" if described.is_file() else model


@contextmanager
def torch_hidden() -> Iterator[None]:
    """Import without torch and the transformers library, where they aren't loaded yet.

    spaCy's thinc imports torch when it finds it. spaCy imports Presidio through an entry point
    whenever it loads a model, and Presidio imports transformers when it finds it: seconds and
    hundreds of MB in each process, for models and recognizers that nothing here uses.
    """
    hidden = [name for name in ("torch", "transformers") if name not in sys.modules]
    if "presidio_analyzer" in sys.modules or any(map(importlib.util.find_spec, BUILT_ON_TORCH)):
        hidden = []
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
