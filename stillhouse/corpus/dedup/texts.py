"""Documents on their way into the comparison: checked, normalised, digested, laid out on disk."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

# Changes when `normalise` gives another result for the same text: stored signatures are then stale.
VERSION = 1

# Documents taken at a time: few, since each may be a whole manual.
BATCH_ROWS = 256

# Marks that text formats draw with (table rules, underlines, boxes), beside Unicode punctuation.
_DRAWN = frozenset("|=~" + "".join(map(chr, range(0x2500, 0x2600))))
_PUNCTUATION = frozenset({"Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sk", "Zs", "Zl", "Zp", "Cc"})


def normalise(text: str) -> str:
    """The form in which two texts count as the same: words, single spaces, nothing else.

    - NFKC, so that ligatures, full-width letters and composed accents, which differ between a PDF
      and the page it was printed from, don't.
    - Case folded: headings and sentence starts vary with the format.
    - Punctuation becomes a space, because quotes, dashes, bullets and the rules of tables are the
      first thing a converter changes. Symbols that carry meaning alone stay: currencies, + < >,
      emoji ("great 👍" is not "great 👎").
    - Format characters (soft hyphens, zero-width spaces, byte-order marks) vanish.
    - Whitespace is squeezed and stripped.

    Accents, digits and word order stay. A text of punctuation alone keeps it: "?" is not "!".
    """
    if text.isascii():  # the same result, at several times the speed
        squeezed = b" ".join(text.encode().translate(_ascii_table()).split())
        return squeezed.decode() or " ".join(text.lower().split())
    folded = unicodedata.normalize("NFKC", text).casefold()
    plain = unicodedata.normalize("NFKC", folded.translate(_REPLACEMENTS))
    return " ".join(plain.split()) or " ".join(_visible(folded).split())


def _visible(text: str) -> str:
    return "".join(c for c in text if unicodedata.category(c) != "Cf")


class _Replacements(dict[int, str]):
    """What `str.translate` puts for a code point; filled as characters are met."""

    def __missing__(self, point: int) -> str:
        character = chr(point)
        category = unicodedata.category(character)
        if category == "Cf":
            replacement = ""
        elif category in _PUNCTUATION or character in _DRAWN:
            replacement = " "
        else:
            replacement = character
        self[point] = replacement
        return replacement


_REPLACEMENTS = _Replacements()


@cache
def _ascii_table() -> bytes:
    table = "".join(_REPLACEMENTS[point].lower() for point in range(128))
    return table.encode() + bytes(128)


class Bodies:
    """The normalised texts, one after the other in a file, read back by place and size.

    Kept out of the database: a column of texts is read 2,048 values at a time, which is gigabytes
    when each is a manual. Reading is safe from several threads.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b")
        self._end = 0

    def append(self, texts: Sequence[bytes]) -> list[int]:
        """Add texts; return the place of each, in bytes from the start of the file."""
        places = []
        for text in texts:
            places.append(self._end)
            self._end += len(text)
        self._file.write(b"".join(texts))
        return places

    def read(self, places: Sequence[int], sizes: Sequence[int]) -> pa.Array:
        """The texts at these places, as a string array."""
        import numpy as np
        import pyarrow as pa

        descriptor = self._file.fileno()
        pieces = [os.pread(descriptor, n, at) for at, n in zip(places, sizes, strict=True)]
        offsets = np.zeros(len(pieces) + 1, np.int64)
        np.cumsum(sizes, out=offsets[1:])
        return pa.LargeStringArray.from_buffers(
            len(pieces), pa.py_buffer(offsets), pa.py_buffer(b"".join(pieces))
        )

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def document_batches(
    documents: pa.Table | pa.RecordBatchReader | Path, bodies: Bodies
) -> Iterator[pa.RecordBatch]:
    """Write every document's normalised text to `bodies`; yield what else is known of it.

    Columns: doc_id; digest (SHA-256 of the normalised text); place and size in `bodies` (bytes);
    length (characters of the text as it came); created (microseconds since 1970 in UTC, or null);
    position; labels; apart. A null text counts as an empty one.

    Raises `UserError` for a missing column, a null doc_id and a date that can't be read.
    """
    import pyarrow as pa

    for raw in _raw_batches(documents):
        doc_ids = raw["doc_id"].cast(pa.string())
        if doc_ids.null_count:
            raise UserError("a document has no doc_id", remedy="give every document a doc_id")
        texts = [text or "" for text in raw["text"].to_pylist()]
        plain = [normalise(text).encode() for text in texts]
        yield pa.record_batch(
            {
                "doc_id": doc_ids,
                "digest": pa.array([hashlib.sha256(text).digest() for text in plain], pa.binary()),
                "place": pa.array(bodies.append(plain), pa.int64()),
                "size": pa.array([len(text) for text in plain], pa.int64()),
                "length": pa.array([len(text) for text in texts], pa.int64()),
                **_order(raw),
            }
        )
    bodies.flush()


def described(documents: pa.Table | pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """What is known of documents whose texts are not read: their doc_id and version; created,
    position, labels and apart as `document_batches` gives them."""
    import pyarrow as pa

    batches = documents.to_batches() if isinstance(documents, pa.Table) else documents
    for raw in batches:
        yield pa.record_batch({"doc_id": raw["doc_id"], "version": raw["version"], **_order(raw)})


def _order(raw: pa.RecordBatch) -> dict[str, pa.Array]:
    import pyarrow as pa

    names, nothing = raw.schema.names, pa.nulls(len(raw), pa.int64())
    return {
        "created": _instants(raw["created_at"]) if "created_at" in names else nothing,
        "position": raw["position"].cast(pa.int64()) if "position" in names else nothing,
        "labels": raw["labels"].cast(pa.int64()) if "labels" in names else nothing,
        "apart": raw["apart"] if "apart" in names else pa.nulls(len(raw), pa.string()),
    }


def _raw_batches(documents: pa.Table | pa.RecordBatchReader | Path) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    if isinstance(documents, Path):
        # Lighter than pyarrow.dataset, which also reads ahead: row groups of text would pile up.
        import pyarrow.parquet as pq

        files = [documents] if documents.is_file() else sorted(documents.rglob("*.parquet"))
        if not files:
            raise UserError(f"{documents}: no Parquet file", remedy="name a file or a folder")
        for file in files:
            with pq.ParquetFile(file) as opened:
                columns = _columns(opened.schema_arrow, str(file))
                yield from opened.iter_batches(BATCH_ROWS, columns=columns)
        return
    columns = _columns(documents.schema, "the documents")
    batches = documents.to_batches() if isinstance(documents, pa.Table) else documents
    for batch in batches:
        for start in range(0, len(batch), BATCH_ROWS):
            yield batch.select(columns).slice(start, BATCH_ROWS)


def _columns(schema: pa.Schema, where: str) -> list[str]:
    for needed in ("doc_id", "text"):
        if needed not in schema.names:
            raise UserError(
                f"{where}: no column {needed!r} among {', '.join(schema.names)}",
                remedy="give a table with the columns doc_id and text",
            )
    known = ("doc_id", "text", "created_at", "position", "labels", "apart")
    return [c for c in known if c in schema.names]


def _instants(column: pa.Array) -> pa.Array:
    import pyarrow as pa

    if pa.types.is_temporal(column.type):
        return column.cast(pa.timestamp("us", tz="UTC"), safe=False).cast(pa.int64())
    with suppress(pa.ArrowInvalid):  # all with their zone, as ours are: no need to look at each
        return column.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    return pa.array([_instant(value) for value in column.to_pylist()], pa.int64())


def _instant(value: str | None) -> int | None:
    if value is None or not value.strip():
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
    except ValueError:
        raise UserError(
            "created_at: a value is not an ISO 8601 date",
            remedy="write dates as 2025-01-31 or 2025-01-31T12:00:00Z, or leave them empty",
        ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds
