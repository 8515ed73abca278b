"""Masked documents: personal data replaced, its originals sealed in the vault; each text once."""

from __future__ import annotations

import itertools
import json
import os
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.config.corpus import Privacy
from stillhouse.corpus.parse.columns import leaves, to_json, with_leaves
from stillhouse.corpus.pii.countries import regions_of
from stillhouse.corpus.pii.masker import Masked, Masker, vault_entries
from stillhouse.corpus.pii.parts import BREAK, joined, prose_of, values_of
from stillhouse.corpus.pii.pool import clean_in_processes
from stillhouse.corpus.pii.settings import PHONE_REGIONS, MaskSettings
from stillhouse.corpus.pii.token_classifier import at_root
from stillhouse.corpus.pii.vault import Vault, identity_of, key_id, load_or_create_key
from stillhouse.errors import UserError
from stillhouse.facts import MaskedDocumentsFacts
from stillhouse.storage.files import digest
from stillhouse.storage.layout import Layout
from stillhouse.storage.query import counts, one_row, rows_in_batches
from stillhouse.storage.tables import Finished, Inputs, table_digest, update_table

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]

# Documents whose originals go to the vault together.
BATCH = 256


def masked_schema() -> pa.Schema:
    """`entities` are places in the original; `residual` kinds that the last scan still finds.

    `content_id` stands for the document and for what cleansing left of it.
    An entity's `part` is "columns", "title" or "text". Places in a title are those of its words as
    they are read (see `_title`); places in columns those in their strings and numbers, one after
    the other, with `BREAK` between them. A number that was masked is a string.
    """
    import pyarrow as pa

    entity = pa.struct(
        [
            ("part", pa.string()),
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
            ("content_id", pa.string()),
            ("version", pa.string()),
            ("title", pa.string()),
            ("text", pa.string()),
            ("columns", pa.string()),
            ("entities", pa.list_(entity)),
            ("residual", pa.list_(pa.string())),
        ]
    )


def mask_settings(privacy: Privacy, root: Path | None = None) -> MaskSettings:
    """The kinds are those asked for, or the usual ones, and those of the project's own patterns.

    The path of a recognizer starts at `root`, the project's folder. Raises `UserError` when an
    operator is named for a kind that is none of them.
    """
    chosen: dict[str, Any] = {
        "languages": tuple(privacy.languages),
        "nlp_model": privacy.nlp_model,
        "recognizer": at_root(privacy.recognizer, root),
        "countries": tuple(privacy.countries),
        "thresholds": dict(privacy.thresholds),
        "allow_list": tuple(privacy.allow),
        "deny_list": tuple(privacy.deny),
        "context": {kind: tuple(words) for kind, words in privacy.context.items()},
        "operator": privacy.operator,
        "phone_regions": _phone_regions(privacy),
    }
    if privacy.entities is not None:
        chosen["entities"] = tuple(privacy.entities)
    settings = MaskSettings(**chosen)
    own = {kind: tuple(patterns) for kind, patterns in privacy.patterns.items()}
    kinds = tuple(dict.fromkeys([*settings.entities, *own]))
    settings = replace(settings, entities=kinds, patterns={**settings.patterns, **own})
    _check_named(set(privacy.operator) - {"default"}, settings.kinds())
    return settings


def _check_named(named: set[str], kinds: tuple[str, ...]) -> None:
    """A misspelt kind would have the operator of all others."""
    if unknown := sorted(named - set(kinds)):
        raise UserError(
            f"privacy.operator: {', '.join(unknown)} is not among the kinds that are masked",
            remedy=f"name some of {', '.join(kinds)}; `privacy.entities` adds others.",
        )


def _phone_regions(privacy: Privacy) -> tuple[str, ...]:
    if privacy.phone_regions is not None:
        return tuple(privacy.phone_regions)
    return regions_of(privacy.countries) or PHONE_REGIONS


def pseudonym_key_id(layout: Layout) -> str | None:
    """Which key makes the pseudonyms; None where there is none. Makes nothing."""
    try:
        return key_id(layout.key("pseudonyms").read_bytes().strip())
    except FileNotFoundError:
        return None


def vault_id(layout: Layout) -> str | None:
    """Which vault holds the originals; None where there is none. Makes nothing."""
    return identity_of(layout.vault)


def ensure_secrets(layout: Layout) -> None:
    """Make the keys and the vault where they are missing; both have their ids from then on.

    Raises:
        UserError: others may read a key, or a key file holds none.
    """
    load_or_create_key(layout.key("pseudonyms"))
    _ = _vault(layout).identity


def mask_documents(
    privacy: Privacy, layout: Layout, root: Path | None = None
) -> MaskedDocumentsFacts:
    """Bring `masked_documents` up to date with the documents that were cleansed.

    The table is that of a pseudonym key and of a vault: with another one of either, all documents
    are masked again. When it is written, the vault forgets what no document needs any more.

    Raises:
        UserError: an unknown kind or model, a wrong pattern, or a key that doesn't serve.
    """
    masker, vault = masker_and_vault(privacy, layout, root)
    table = layout.table("masked_documents")
    version = digest(masker.fingerprint(), vault.identity)
    if table.exists() and not _pseudonyms(table, version) <= {e.pseudonym for e in vault}:
        # Parts of the vault are gone: all documents fill it again.
        version = digest(masker.fingerprint(), vault.renew())
    increment = update_table(
        table,
        layout.staging("masked_documents"),
        masked_schema(),
        key="content_id",
        version=version,
        inputs=Inputs(
            layout.table("cleansed_documents"),
            ["content_id", "doc_id", "title", "text", "columns"],
            "status = 'kept'",
        ),
        compute=lambda documents: _mask(masker, vault, version, documents),
        description="Masking",
    )
    vault.keep_only(_pseudonyms(table, version))
    by_kind = counts(
        "SELECT e.kind, count(*) FROM (SELECT unnest(entities) AS e FROM t) "
        "GROUP BY 1 ORDER BY 2 DESC, 1",
        t=table,
    )
    documents = one_row(
        "SELECT count(*) AS n, count(*) FILTER (len(entities) > 0) AS touched FROM t", t=table
    )
    return MaskedDocumentsFacts(
        digest=table_digest(table, ["doc_id", "title", "text", "columns"]),
        documents=documents["n"],
        documents_with_entities=documents["touched"],
        entities=sum(by_kind.values()),
        entities_by_kind=by_kind,
        computed=increment.computed,
        reused=increment.reused,
        dropped=increment.dropped,
    )


def masker_and_vault(
    privacy: Privacy, layout: Layout, root: Path | None = None
) -> tuple[Masker, Vault]:
    """What masks this project's texts, and where their originals are; as `mask_documents` has them,
    for whoever looks for personal data afterwards. Raises `UserError` as it does."""
    ensure_secrets(layout)
    masker = Masker(mask_settings(privacy, root), load_or_create_key(layout.key("pseudonyms")))
    return masker, _vault(layout)


def forget_originals(layout: Layout) -> int:
    """Let the vault forget what no masked document needs any more, as far as there is a vault;
    returns how many originals went. The caller holds the lock of `masked_documents`."""
    table = layout.table("masked_documents")
    if not layout.vault.is_dir() or not table.exists():
        return 0
    return _vault(layout).keep_only(_pseudonyms(table))


def _vault(layout: Layout) -> Vault:
    return Vault(layout.vault, load_or_create_key(layout.key("vault")))


def _pseudonyms(table: Path, version: str | None = None) -> set[str]:
    """Those that the table's rows (of a version) need the vault for."""
    of_version = f"WHERE version = '{version}'" if version else ""
    found = rows_in_batches(
        "SELECT DISTINCT e.pseudonym AS p "  # noqa: S608 - a digest of our own
        f"FROM (SELECT unnest(entities) AS e FROM t {of_version}) "
        "WHERE e.pseudonym <> '' AND e.pseudonym[1] NOT IN ('<', '*')",  # see `stands_for_one`
        t=table,
    )
    return {row["p"] for rows in found for row in rows}


def _mask(
    masker: Masker, vault: Vault, version: str, documents: Iterator[Row]
) -> Iterator[Finished]:
    """Rows of masked documents; the vault knows their pseudonyms before the table does."""
    waiting: deque[tuple[Row, str]] = deque()

    def originals() -> Iterator[str]:
        for document in documents:
            waiting.append((document, _whole(document)))
            yield waiting[-1][1]

    cleaned = clean_in_processes(masker, originals(), os.cpu_count() or 1)
    while block := list(itertools.islice(cleaned, BATCH)):
        done = [(*waiting.popleft(), *found) for found in block]
        vault.add(e for _, original, masked, _ in done for e in vault_entries(original, masked))
        rows = [
            {
                "doc_id": document["doc_id"],
                "content_id": document["content_id"],
                "version": version,
                **_parts(document, original, masked),
                "residual": [entity.kind for entity in left.entities],
            }
            for document, original, masked, left in done
        ]
        yield Finished(len(rows), rows)


def _whole(document: Row) -> str:
    """Columns, title and text in one: a name that is known from one is found in the others."""
    title = _title(document)
    prose = f"{title}{BREAK}{document['text']}" if title else document["text"]
    return joined(map(str, leaves(_columns(document))), prose)


def _columns(document: Row) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(document["columns"] or "{}")
    return found


def _title(document: Row) -> str:
    """The title in words: where it is the name of a file, "john_lee-warning" is "John Lee Warning".

    Joined or in lower case, nothing would know the name in it.
    """
    title = " ".join((document["title"] or "").split())
    if " " in title or "@" in title or not re.search(r"[^\W\d][_\-]|[_\-][^\W\d]", title):
        return title
    words = re.sub(r"_|(?<!\d)-|-(?!\d)", " ", title)
    return re.sub(r"(?<!\w)[a-zà-öø-þ]", lambda first: first[0].upper(), words)


def _parts(document: Row, original: str, masked: Masked) -> Row:
    """Title, text, columns and entities of a document, whose whole was masked."""
    title, text = None, masked.text[prose_of(masked.text) :]
    text_at = title_at = prose_of(original)
    if words := _title(document):
        title, _, text = text.partition(BREAK)
        text_at = title_at + len(words) + len(BREAK)
    starts = [("columns", 0), ("title", title_at), ("text", text_at)]
    entities = []
    for entity in masked.entities:
        part, at = [start for start in starts if start[1] <= entity.start][-1]
        entities.append(
            {
                "part": part,
                "kind": entity.kind,
                "start": entity.start - at,
                "end": entity.end - at,
                "score": entity.score,
                "pseudonym": entity.pseudonym,
            }
        )
    return {
        "title": title or None,
        "text": text,
        "columns": _masked_columns(document, values_of(masked.text)),
        "entities": entities,
    }


def _masked_columns(document: Row, values: list[str]) -> str | None:
    """The columns with these values; one that is what it was keeps its kind."""
    columns = _columns(document)
    pairs = list(zip(leaves(columns), values, strict=True))
    now = (old if str(old) == new else new for old, new in pairs)
    return to_json(with_leaves(columns, now))
