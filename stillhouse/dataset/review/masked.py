"""Corrections are written by people, who may know what a pseudonym stands for: they are masked as
documents are, under the same key, before anything else sees them."""

from __future__ import annotations

from functools import cached_property

from stillhouse.config.project import Project
from stillhouse.corpus.masked import mask_settings
from stillhouse.corpus.pii.masker import Masker
from stillhouse.corpus.pii.vault import load_or_create_key
from stillhouse.storage.layout import Layout


class CorrectionMasker:
    """Masks what reviewers wrote; loads the recognizers with the first correction."""

    def __init__(self, project: Project, layout: Layout) -> None:
        self._project, self._layout = project, layout

    @cached_property
    def _masker(self) -> Masker:
        key = load_or_create_key(self._layout.key("pseudonyms"))
        return Masker(mask_settings(self._project.privacy, self._project.root), key)

    def mask(self, correction: str, said: str) -> str:
        """The correction without personal data; what stands in the masked text `said` as well was
        let through there, in a longer context than an answer is, and stays."""
        ((found, _),) = self._masker.clean_many([correction])
        parts, end = [], 0
        for entity in found.entities:
            value = correction[entity.start : entity.end]
            kept = value in said
            parts += [correction[end : entity.start], value if kept else entity.pseudonym]
            end = entity.end
        return "".join([*parts, correction[end:]])
