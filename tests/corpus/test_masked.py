from __future__ import annotations

import itertools
import json
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from stillhouse.config.corpus import Privacy
from stillhouse.corpus import masked as masked_module
from stillhouse.corpus.masked import (
    ensure_secrets,
    mask_documents,
    mask_settings,
    pseudonym_key_id,
    vault_id,
)
from stillhouse.corpus.parse.columns import to_json
from stillhouse.corpus.pii.masker import Masked, Masker
from stillhouse.corpus.pii.parts import BREAK
from stillhouse.corpus.pii.residual import residual_findings
from stillhouse.corpus.pii.settings import DEFAULT_ENTITIES, MaskSettings
from stillhouse.corpus.pii.vault import Vault, load_or_create_key
from stillhouse.errors import UserError
from stillhouse.facts import MaskedDocumentsFacts
from stillhouse.offline import go_offline
from stillhouse.storage.files import digest
from stillhouse.storage.layout import Layout
from stillhouse.storage.tables import read_table, write_table

# Kinds without a model of names: these tests are about the table and the vault.
QUICK = Privacy(entities=["EMAIL_ADDRESS"])

# To a recognizer of names, a pseudonym and the word beside it look like a full name. Some are.
BESIDE = {
    "Signed by Tomas Person-notedo and Person-vureta.": "Tomas",
    "Ms Person-vureta Brandt called about Email-nubape.": "Brandt",
    "The contracts look terrible. The toner is new. Call Person-notedo on Phone-kabidu.": None,
    "We have kept a sample. Customer Person-vureta has sent a letter.": None,
}

TEXTS = {"a": "mail ann@acme.example", "b": "mail bob@acme.example", "c": "nothing here"}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    go_offline()
    return Layout(tmp_path / "var")


def parsed(
    layout: Layout,
    texts: dict[str, str],
    titles: dict[str, str] | None = None,
    columns: dict[str, Any] | None = None,
) -> None:
    """The columns of cleansed_documents that masking reads; the last row is left out."""
    said = {n: to_json(value) for n, value in (columns or {}).items()}
    rows: list[dict[str, Any]] = [
        {
            "doc_id": n,
            "content_id": digest(n, text),
            "status": "kept",
            "title": (titles or {}).get(n),
            "text": text,
            "columns": said.get(n),
        }
        for n, text in texts.items()
    ]
    names = ("doc_id", "content_id", "status", "title", "text", "columns")
    bad = dict.fromkeys(names) | {"status": "left_out"}
    schema = pa.schema([(name, pa.string()) for name in bad])
    write_table(
        layout.table("cleansed_documents"), pa.Table.from_pylist([*rows, bad], schema=schema)
    )


def table(layout: Layout) -> dict[str, dict[str, Any]]:
    return {r["doc_id"]: r for r in read_table(layout.table("masked_documents")).to_pylist()}


def known(layout: Layout) -> set[str]:
    """The values in the vault."""
    vault = Vault(layout.vault, load_or_create_key(layout.key("vault")))
    return {entry.value for entry in vault.entries()}


def counted(facts: MaskedDocumentsFacts) -> tuple[int, int, int]:
    return facts.computed, facts.reused, facts.dropped


def test_documents_are_masked_once_and_counted(layout: Layout) -> None:
    parsed(layout, TEXTS)
    facts = mask_documents(QUICK, layout)
    assert counted(facts) == (3, 0, 0)
    assert (facts.documents, facts.documents_with_entities, facts.entities) == (3, 2, 2)
    assert facts.entities_by_kind == {"EMAIL_ADDRESS": 2}
    rows = table(layout)
    assert rows["c"]["text"] == TEXTS["c"]
    (entity,) = rows["a"]["entities"]
    assert rows["a"]["text"] == f"mail {entity['pseudonym']}"
    assert TEXTS["a"][entity["start"] : entity["end"]] == "ann@acme.example"
    parsed(layout, {**TEXTS, "d": "new"})
    again = mask_documents(QUICK, layout)
    assert counted(again) == (1, 3, 0)
    assert again.digest != facts.digest
    parsed(layout, TEXTS)
    assert mask_documents(QUICK, layout).digest == facts.digest


def test_a_pattern_of_a_new_kind_is_masked_scanned_and_in_the_vault(layout: Layout) -> None:
    privacy = Privacy(entities=["IP_ADDRESS"], patterns={"EMPLOYEE_ID": [r"\bE\d{5}\b"]})
    parsed(layout, {"a": "I am E12345"})
    facts = mask_documents(privacy, layout)
    assert facts.entities_by_kind == {"EMPLOYEE_ID": 1}
    assert table(layout)["a"]["text"].startswith("I am EmployeeId-")
    assert known(layout) == {"E12345"}
    assert residual_findings(layout).passed
    masker = Masker(mask_settings(privacy), b"a key of more than sixteen bytes")
    assert [e.kind for e in masker.residual("Is it E54321?")] == ["EMPLOYEE_ID"]


def test_kinds_of_patterns_join_the_usual_ones() -> None:
    privacy = Privacy(patterns={"EMPLOYEE_ID": [r"\bE\d{5}\b"], "ACCOUNT_NUMBER": ["A1"]})
    settings = mask_settings(privacy)
    assert settings.entities == (*DEFAULT_ENTITIES, "EMPLOYEE_ID")
    assert settings.patterns["ACCOUNT_NUMBER"] == ("A1",)
    # A usual pattern doesn't add its kind where others were asked for.
    assert mask_settings(QUICK).entities == ("EMAIL_ADDRESS",)


def test_titles_are_masked_like_texts_with_the_same_pseudonyms(layout: Layout) -> None:
    texts = {"a": "We spoke to Priya Raman about it.", "b": "The pump is late.", "c": "Fine."}
    titles = {
        "a": "Warning: priya raman, mail p@acme.example",
        "b": "john_smith_warning",
        "c": "credit-notes",
    }
    parsed(layout, texts, titles)
    facts = mask_documents(Privacy(), layout)
    rows = table(layout)
    name = next(e["pseudonym"] for e in rows["a"]["entities"] if e["part"] == "text")
    assert rows["a"]["text"] == f"We spoke to {name} about it."
    in_title = [e for e in rows["a"]["entities"] if e["part"] == "title"]
    assert [titles["a"][e["start"] : e["end"]] for e in in_title] == [
        "priya raman",
        "p@acme.example",
    ]
    assert in_title[0]["pseudonym"] == name
    assert rows["a"]["title"] == f"Warning: {name}, mail {in_title[1]['pseudonym']}"
    assert "mith" not in rows["b"]["title"]
    assert rows["b"]["text"] == texts["b"]
    assert rows["c"]["title"] == "Credit Notes"
    assert facts.entities == sum(len(row["entities"]) for row in rows.values()) >= 4
    assert "p@acme.example" in known(layout)


def test_what_is_left_in_a_title_is_seen(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed(layout, {"a": "fine"}, {"a": "Call ann@acme.example"})
    monkeypatch.setattr("stillhouse.corpus.pii.masker.MORE_ROUNDS", 0)
    masks = Masker._masked
    first: list[str] = []

    def misses_once(self: Masker, text: str, findings: Any) -> Masked:
        if not first:
            first.append(text)
            return Masked(text, [])
        return masks(self, text, findings)

    monkeypatch.setattr(Masker, "_masked", misses_once)
    mask_documents(QUICK, layout)
    assert table(layout)["a"]["residual"] == ["EMAIL_ADDRESS"]
    assert not residual_findings(layout).passed


def test_a_removed_vault_is_filled_again(layout: Layout) -> None:
    parsed(layout, TEXTS)
    first = mask_documents(QUICK, layout)
    values, identity = known(layout), vault_id(layout)
    assert values == {"ann@acme.example", "bob@acme.example"}
    shutil.rmtree(layout.vault)
    assert vault_id(layout) is None
    ensure_secrets(layout)
    renewed = vault_id(layout)
    assert renewed not in (None, identity)
    facts = mask_documents(QUICK, layout)
    assert counted(facts)[:2] == (3, 0)
    assert facts.digest == first.digest
    assert known(layout) == values
    # It is still the one that the record of this run names.
    assert vault_id(layout) == renewed
    assert counted(mask_documents(QUICK, layout)) == (0, 3, 0)


def test_a_vault_that_lost_a_segment_is_filled_again(layout: Layout) -> None:
    parsed(layout, TEXTS)
    mask_documents(QUICK, layout)
    values, identity = known(layout), vault_id(layout)
    for segment in layout.vault.glob("*.vault"):
        segment.unlink()
    mask_documents(QUICK, layout)
    assert known(layout) == values
    assert vault_id(layout) != identity


def test_with_a_lost_key_everything_is_masked_again(layout: Layout) -> None:
    parsed(layout, TEXTS)
    assert pseudonym_key_id(layout) is None
    assert not layout.root.joinpath("keys").exists()
    first = mask_documents(QUICK, layout)
    before, identity = table(layout), pseudonym_key_id(layout)
    layout.key("pseudonyms").unlink()
    facts = mask_documents(QUICK, layout)
    assert counted(facts)[:2] == (3, 0)
    assert facts.digest != first.digest
    assert pseudonym_key_id(layout) not in (None, identity)
    assert table(layout)["a"]["text"] != before["a"]["text"]
    assert known(layout) == {"ann@acme.example", "bob@acme.example"}
    pseudonyms = {e["pseudonym"] for row in table(layout).values() for e in row["entities"]}
    vault = Vault(layout.vault, load_or_create_key(layout.key("vault")))
    assert {entry.pseudonym for entry in vault.entries()} == pseudonyms


def test_a_deleted_document_leaves_the_vault(layout: Layout) -> None:
    parsed(layout, {**TEXTS, "d": "cc ann@acme.example and dee@acme.example"})
    mask_documents(QUICK, layout)
    identity = vault_id(layout)
    parsed(layout, {name: TEXTS[name] for name in ("b", "c")} | {"e": "cc ann@acme.example"})
    mask_documents(QUICK, layout)
    assert known(layout) == {"ann@acme.example", "bob@acme.example"}
    assert vault_id(layout) == identity


def test_an_operator_of_a_kind_that_is_not_masked_is_an_error() -> None:
    with pytest.raises(UserError, match=r"privacy.operator: EMAIL is not among the kinds"):
        mask_settings(Privacy(operator={"EMAIL": "redact"}))


def test_the_vault_maps_surrogates_back(layout: Layout) -> None:
    parsed(layout, TEXTS, {"c": "Of BOB@acme.example"})
    chosen = {"EMAIL_ADDRESS": "surrogate"}
    mask_documents(Privacy(entities=["EMAIL_ADDRESS"], operator=chosen), layout)
    rows = table(layout)
    surrogate = rows["b"]["text"].removeprefix("mail ")
    assert surrogate.endswith(".example") and rows["c"]["title"] == f"Of {surrogate}"
    vault = Vault(layout.vault, load_or_create_key(layout.key("vault")))
    found = {entry.value for entry in vault.lookup(surrogate)}
    assert found == {"bob@acme.example", "BOB@acme.example"}
    mask_documents(QUICK, layout)
    assert vault.lookup(surrogate) == []


@pytest.mark.parametrize("operator", ["replace", "redact", "mask"])
def test_without_pseudonyms_the_vault_stays_empty(layout: Layout, operator: Any) -> None:
    parsed(layout, TEXTS)
    privacy = Privacy(entities=["EMAIL_ADDRESS"], operator=operator)
    mask_documents(privacy, layout)
    assert known(layout) == set()
    assert counted(mask_documents(privacy, layout)) == (0, 3, 0)


def test_nothing_unmasked_lies_outside_vault_and_parsed_documents(
    layout: Layout, caplog: pytest.LogCaptureFixture
) -> None:
    parsed(layout, TEXTS, {"c": "to ann@acme.example"})
    mask_documents(QUICK, layout)
    masked_row = layout.table("masked_documents").parent
    text = str(read_table(layout.table("masked_documents")).to_pylist()) + caplog.text
    assert "acme" not in text
    for file in (f for f in layout.root.rglob("*") if f.is_file()):
        private = layout.vault in file.parents or layout.key("x").parent in file.parents
        if private:
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
        if private or file.is_relative_to(masked_row):
            assert b"acme" not in file.read_bytes()


def test_documents_go_through_some_at_a_time(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(masked_module, "BATCH", 10)
    monkeypatch.setattr("stillhouse.corpus.pii.masker.BLOCK", 10)
    ensure_secrets(layout)
    masker = Masker(MaskSettings(entities=("EMAIL_ADDRESS",)), b"a key of more than sixteen bytes")
    vault = Vault(layout.vault, load_or_create_key(layout.key("vault")))
    taken = itertools.count()

    def endless() -> Iterator[dict[str, Any]]:
        while True:
            name = str(next(taken))
            ids = {"doc_id": name, "content_id": name}
            yield {**ids, "title": "", "text": "no", "columns": None}

    monkeypatch.setattr("os.cpu_count", lambda: 1)
    finished = masked_module._mask(masker, vault, "1", endless())
    assert [next(finished).inputs for _ in range(3)] == [10, 10, 10]
    assert next(taken) <= 31


ORDER = {
    "order": {
        "customer": "Leila Hartwick",
        "mail": "leila@contoso.example",
        "account": 44920155,
        "quantity": 12,
        "weight": 12.5,
        "urgent": True,
        "parts": ["A-1", "", {"for": "Hartwick"}],
        "none": [],
    },
    "question": "Who is Leila Hartwick \u2013 4492-0155?",
}


def test_columns_are_masked_like_their_text_leaf_by_leaf(layout: Layout) -> None:
    text = "Leila Hartwick, customer no. 4492-0155, leila@contoso.example, orders 12 of A-1."
    parsed(layout, {"a": text, "b": text, "c": "12"}, {"a": "For Leila Hartwick"}, {"a": ORDER})
    facts = mask_documents(Privacy(), layout)
    rows = table(layout)
    masked = json.loads(rows["a"]["columns"])
    order = masked["order"]
    assert list(order) == sorted(ORDER["order"])
    kept = ("quantity", "weight", "urgent", "none")
    assert {k: order[k] for k in kept} == {k: ORDER["order"][k] for k in kept}  # type: ignore[index]
    name = " ".join(rows["a"]["title"].split()[1:])
    # The same in title, text, answers and question; a name's part is a part of it.
    assert rows["a"]["text"] == (
        f"{name}, customer no. {order['account']}, {order['mail']}, orders 12 of A-1."
    )
    assert order["customer"] == name and name.split()[1] == order["parts"][2]["for"]
    assert masked["question"] == f"Who is {name} \u2013 {order['account']}?"
    assert order["parts"][:2] == ["A-1", ""]
    assert rows["b"]["columns"] is rows["c"]["columns"] is None
    assert {"Leila", "Hartwick", "44920155", "4492-0155", "leila@contoso.example"} <= known(layout)
    assert facts.documents_with_entities == 2
    assert residual_findings(layout).passed


def test_places_in_columns_are_those_in_their_leaves(layout: Layout) -> None:
    columns = {"b": "to ann@acme.example", "a": [1, "bob@acme.example"], "n": 17}
    parsed(layout, {"x": "mail ann@acme.example"}, {"x": "of eve@acme.example"}, {"x": columns})
    mask_documents(QUICK, layout)
    leaves = BREAK.join(["1", "bob@acme.example", "to ann@acme.example", "17"])
    wholes = {"columns": leaves, "title": "of eve@acme.example", "text": "mail ann@acme.example"}
    found = [
        (e["part"], wholes[e["part"]][e["start"] : e["end"]])
        for e in table(layout)["x"]["entities"]
    ]
    assert found == [
        ("columns", "bob@acme.example"),
        ("columns", "ann@acme.example"),
        ("title", "eve@acme.example"),
        ("text", "ann@acme.example"),
    ]


def test_what_is_left_in_columns_is_told(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed(layout, {"x": "nothing"}, columns={"x": {"a": ["ann@acme.example"]}})
    # Nothing is masked: the scan afterwards is all that there is.
    monkeypatch.setattr("stillhouse.corpus.pii.masker.MORE_ROUNDS", 0)
    monkeypatch.setattr(
        Masker,
        "clean_many",
        lambda self, texts: self.until_clean([Masked(text, []) for text in texts]),
    )
    mask_documents(QUICK, layout)
    left = residual_findings(layout)
    assert not left.passed
    assert left.by_kind == {"EMAIL_ADDRESS": 1}


@pytest.mark.parametrize("operator", ["replace", "redact"])
def test_columns_without_pseudonyms(layout: Layout, operator: Any) -> None:
    said = {"mail": "ann@acme.example", "also": ["ann@acme.example", 7]}
    parsed(layout, {"x": "of ann@acme.example"}, columns={"x": said})
    mask_documents(Privacy(entities=["EMAIL_ADDRESS"], operator=operator), layout)
    row = table(layout)["x"]
    stands = row["text"].removeprefix("of ")
    assert stands == ("" if operator == "redact" else "<EMAIL_ADDRESS>")
    assert json.loads(row["columns"]) == {"mail": stands, "also": [stands, 7]}


def test_columns_are_part_of_what_the_table_says(layout: Layout) -> None:
    parsed(layout, {"x": "of ann@acme.example"}, columns={"x": {"a": "one"}})
    first = mask_documents(QUICK, layout)
    parsed(layout, {"y": "of ann@acme.example"}, columns={"y": {"a": "two"}})
    assert mask_documents(QUICK, layout).digest != first.digest


def test_what_a_second_scan_finds_is_masked_too() -> None:
    go_offline()
    masker = Masker(MaskSettings(), b"a key of more than sixteen bytes")
    cleaned = masker.until_clean([Masked(text, []) for text in BESIDE])
    for (original, name), (masked, left) in zip(BESIDE.items(), cleaned, strict=True):
        assert left.entities == []
        assert [original[e.start : e.end] for e in masked.entities] == ([name] if name else [])
        expected = original
        for entity in masked.entities:
            expected = expected.replace(str(name), entity.pseudonym)
        assert masked.text == expected


def test_what_cleansing_left_otherwise_is_masked_again(layout: Layout) -> None:
    """A document's id is that of the file's text; what is boilerplate in it may change."""
    parsed(layout, {**TEXTS, "a": f"Menu\n{TEXTS['a']}"})
    mask_documents(QUICK, layout)
    parsed(layout, TEXTS)
    assert counted(mask_documents(QUICK, layout)) == (1, 2, 1)
    assert "Menu" not in table(layout)["a"]["text"]
