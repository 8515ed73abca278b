"""Masked documents: personal data replaced, its originals sealed in the vault; each text once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from stillhouse.config.corpus import Privacy
from stillhouse.corpus.pii.masker import Masked, Masker, MaskSettings, vault_entries
from stillhouse.corpus.pii.vault import Vault, load_or_create_key
from stillhouse.storage.layout import Layout
from stillhouse.storage.tables import Increment, incremental_table

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]

# How often masked texts are scanned again, and what is found is masked as well.
MORE_ROUNDS = 2

# Below this many texts a second process costs more to start than it saves.
TEXTS_PER_PROCESS = 1500


def masked_schema() -> pa.Schema:
    """`entities` are places in the original; `residual` kinds that the last scan still finds."""
    import pyarrow as pa

    entity = pa.struct(
        [
            ("kind", pa.string()),
            ("start", pa.int64()),
            ("end", pa.int64()),
            ("score", pa.float64()),
            ("pseudonym", pa.string()),
        ]
    )
    return pa.schema(
        [
            ("doc_id", pa.string()),
            ("version", pa.string()),
            ("title", pa.string()),
            ("text", pa.string()),
            ("entities", pa.list_(entity)),
            ("residual", pa.list_(pa.string())),
        ]
    )


def mask_settings(privacy: Privacy) -> MaskSettings:
    chosen: dict[str, Any] = {
        "languages": tuple(privacy.languages),
        "nlp_model": privacy.nlp_model,
        "thresholds": dict(privacy.thresholds),
        "allow_list": tuple(privacy.allow),
        "operator": privacy.operator,
        "phone_regions": tuple(privacy.phone_regions),
    }
    if privacy.entities is not None:
        chosen["entities"] = tuple(privacy.entities)
    settings = MaskSettings(**chosen)
    own = {kind: tuple(patterns) for kind, patterns in privacy.patterns.items()}
    return replace(settings, patterns={**settings.patterns, **own})


def mask_documents(privacy: Privacy, documents: pa.Table, layout: Layout) -> Increment:
    """Bring `masked_documents` up to date with parsed `documents` (doc_id, title, text)."""
    masker = Masker(mask_settings(privacy), load_or_create_key(layout.key("pseudonyms")))
    vault = Vault(layout.vault, load_or_create_key(layout.key("vault")))
    return incremental_table(
        layout.table("masked_documents"),
        layout.staging("masked_documents"),
        masked_schema(),
        key="doc_id",
        version=masker.fingerprint(),
        inputs=documents.select(["doc_id", "title", "text"]).to_pylist(),
        compute=lambda missing: _mask(masker, vault, missing),
        batch_size=500,
        description="Masking",
    )


def _mask(masker: Masker, vault: Vault, documents: Sequence[Row]) -> Iterator[list[Row]]:
    processes = max(1, min(os.cpu_count() or 1, len(documents) // TEXTS_PER_PROCESS))
    # Titles go through the same scan, interleaved: title, text, title, text ...
    originals = [d[name] or "" for d in documents for name in ("title", "text")]
    masked = masker.mask_many(originals, processes)
    pending: list[tuple[Row, Masked, Masked]] = []
    for document in documents:
        title, text = next(masked), next(masked)
        pending.append((document, title, text))
        if len(pending) == 256 or document is documents[-1]:
            yield from _finished(masker, vault, pending)
            pending = []


def _finished(
    masker: Masker, vault: Vault, pending: Sequence[tuple[Row, Masked, Masked]]
) -> Iterator[list[Row]]:
    """Rows of masked documents; the vault knows their pseudonyms before the table does."""
    texts, residual = until_clean(masker, [text for _, _, text in pending])
    vault.add(
        entry
        for (document, title, _), text in zip(pending, texts, strict=True)
        for name, found in (("title", title), ("text", text))
        for entry in vault_entries(document[name] or "", found)
    )
    for (document, title, _), text, left in zip(pending, texts, residual, strict=True):
        yield [
            {
                "doc_id": document["doc_id"],
                "version": masker.fingerprint(),
                "title": title.text or None,
                "text": text.text,
                "entities": [
                    {n: getattr(e, n) for n in ("kind", "start", "end", "score", "pseudonym")}
                    for e in text.entities
                ],
                "residual": [e.kind for e in left.entities],
            }
        ]


def until_clean(masker: Masker, texts: list[Masked]) -> tuple[list[Masked], list[Masked]]:
    """The texts with what more scans find masked too, and what the last scan found in each.

    A recognizer of names reads a text otherwise once its neighbours are pseudonyms. It may then
    find what it missed, or take a harmless word for part of a name; both are masked.
    """
    left = list(masker.mask_many([text.text for text in texts]))
    for _ in range(MORE_ROUNDS):
        unclean = [i for i, found in enumerate(left) if found.entities]
        for i in unclean:
            texts[i] = texts[i].then(left[i])
        again = masker.mask_many([texts[i].text for i in unclean])
        for i, found in zip(unclean, again, strict=True):
            left[i] = found
    return texts, left
