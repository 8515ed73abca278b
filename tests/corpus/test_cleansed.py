"""The step: what a source repeats goes, whatever else is short or alike stays, and all of it can
be put back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stillhouse.config.corpus import Cleansing
from stillhouse.corpus.cleanse.edits import Edit, undo
from stillhouse.corpus.cleansed import cleanse_documents
from stillhouse.facts import CleansedDocumentsFacts
from stillhouse.storage.layout import Layout
from stillhouse.storage.tables import read_table
from tests.corpus.cleanse.made import (
    BANNER,
    NOISE,
    PROSE,
    SPARSE,
    TOPICS,
    own_text,
    wiki_pages,
    write_parsed,
)

Row = dict[str, Any]


class Corpus:
    def __init__(self, root: Path) -> None:
        self.layout = Layout(root / "var")

    def cleanse(
        self, texts: dict[str, str], settings: Cleansing | None = None, **columns: Any
    ) -> CleansedDocumentsFacts:
        """Cleanse documents with these texts, by id; `columns` are of all or one a document."""
        write_parsed(self.layout.table("parsed_documents"), texts, **columns)
        self.parsed = texts
        return cleanse_documents(settings or Cleansing(), self.layout)

    def rows(self) -> dict[str, Row]:
        found = read_table(self.layout.table("cleansed_documents")).to_pylist()
        return {row["doc_id"]: row for row in found}

    def texts(self) -> dict[str, str]:
        for name, row in self.rows().items():
            edits = [Edit(**{k: v for k, v in e.items() if k != "part"}) for e in row["edits"]]
            assert undo(row["text"], edits) == self.parsed[name]
        return {name: row["text"] for name, row in self.rows().items()}


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return Corpus(tmp_path)


def test_menus_and_footers_of_a_wiki_go_and_its_headings_stay(corpus: Corpus) -> None:
    facts = corpus.cleanse(wiki_pages())
    assert corpus.texts() == {topic: own_text(topic) for topic in TOPICS}
    assert facts.documents == facts.touched == len(TOPICS)
    assert facts.removals == {"boilerplate": 2 * len(TOPICS)}
    assert facts.removed_characters["boilerplate"] > 250 * len(TOPICS)
    assert facts.by_language == {"en": len(TOPICS)}


def test_a_new_document_is_all_that_is_read_until_something_becomes_boilerplate(
    corpus: Corpus,
) -> None:
    pages = wiki_pages()
    names = list(pages)
    few = {name: pages[name] for name in names[:4]}
    assert corpus.cleanse(few).removals == {}
    fifth = corpus.cleanse({name: pages[name] for name in names[:5]})
    assert (fifth.computed, fifth.reused, fifth.dropped) == (5, 0, 4)
    assert fifth.removals == {"boilerplate": 10}
    all_ = corpus.cleanse(pages)
    assert (all_.computed, all_.reused) == (len(names) - 5, 5)
    again = corpus.cleanse(pages)
    assert (again.computed, again.reused, again.digest) == (0, len(names), all_.digest)
    # However it came to be.
    (corpus.layout.cache("lines") / "lines.parquet").unlink()
    corpus.layout.table("cleansed_documents").unlink()
    assert corpus.cleanse(pages).digest == all_.digest


def test_tickets_of_one_form_keep_what_they_say(corpus: Corpus) -> None:
    form = "Department: {d}\nPriority: {p}\nWhat is wrong?\n{text}\nOrder: 47{n:02}\nThank you"
    tickets = {
        str(n): form.format(d=["IT", "HR"][n % 2], p=["high", "low"][n % 3 > 0], text=text, n=n)
        for n, text in enumerate(TOPICS.values())
    }
    corpus.cleanse(tickets, kind="records", suffix=".jsonl", source="tickets")
    assert corpus.texts() == tickets


def test_copies_and_versions_are_no_boilerplate(corpus: Corpus) -> None:
    lines = [f"{sentence} ({number})" for number, sentence in enumerate(TOPICS.values())]
    versions = {
        f"v{n}": "\n\n".join([f"Handbook of version {n}", *lines, f"Changed in {n}: {lines[n]}"])
        for n in range(10)
    }
    alike = {f"t{n}": "The printer on the second floor does not print." for n in range(30)}
    corpus.cleanse(versions | alike)
    assert corpus.texts() == versions | alike


def test_disclaimers_of_some_go_where_greetings_of_all_stay(corpus: Corpus) -> None:
    disclaimer = (
        "This message is intended only for the person to whom it is addressed and may contain "
        "information that is confidential. If you have received it in error, delete it."
    )
    mails = {
        str(n): f"Dear colleagues,\n{text}" + (f"\n{disclaimer}" if n % 2 else "")
        for n, text in enumerate(TOPICS.values())
    }
    corpus.cleanse(mails, kind="records", suffix=".jsonl", source="tickets")
    expected = {name: mail.removesuffix(f"\n{disclaimer}") for name, mail in mails.items()}
    assert corpus.texts() == expected


def test_what_answers_name_stays_in_the_text(corpus: Corpus) -> None:
    line = "Concerning the hydraulic press HP 200 in hall 3"
    texts = {str(n): f"{line}\n{text}" for n, text in enumerate(TOPICS.values())}
    answers = {name: json.dumps({"machine": "HP 200"}) for name in list(texts)[:6]}
    corpus.cleanse(texts, kind="records", suffix=".jsonl", columns=answers)
    kept = {name for name, text in corpus.texts().items() if line in text}
    assert kept == set(answers)


def test_a_source_is_no_business_of_another(corpus: Corpus) -> None:
    pages = wiki_pages()
    source = {name: "ab"[n % 2] if n < 8 else "c" for n, name in enumerate(pages)}
    corpus.cleanse(pages, source=source)
    assert corpus.texts() == pages


def test_letters_that_are_no_words_are_left_out_and_quarantined(corpus: Corpus) -> None:
    texts = {
        "scan": "\n\n".join(NOISE),
        "half": "\n\n".join([PROSE["en"], NOISE[0], PROSE["de"]]),
        **{f"sparse {n}": text for n, text in enumerate(SPARSE)},
        **PROSE,
        "codes": "\n".join(SPARSE),
    }
    facts = corpus.cleanse(texts, suffix=".pdf")
    assert facts.left_out == {"noise": 1}
    rows = corpus.rows()
    assert rows["scan"]["status"] == "left_out" and rows["scan"]["quality"] < 0.4
    cleansed = corpus.texts()
    assert cleansed.pop("half") == f"{PROSE['en']}\n\n{PROSE['de']}"
    assert {n: t for n, t in cleansed.items() if n != "scan"} == {
        n: t for n, t in texts.items() if n not in ("scan", "half")
    }
    (row,) = read_table(corpus.layout.quarantine("cleansed_documents")).to_pylist()
    assert (row["file_id"], row["category"], row["line"]) == ("f", "noise", 0)
    assert row["reason"] and row["remedy"]
    for name in PROSE:
        assert rows[name]["language"] == name
    off = corpus.cleanse(texts, Cleansing(enabled=False), suffix=".pdf")
    assert corpus.texts() == texts and not off.left_out


def test_mojibake_is_mended_in_texts_titles_and_answers(corpus: Corpus) -> None:
    wrong = "Die PrÃ¼fung fÃ¼r GerÃ¤te â€“ jÃ¤hrlich â€“ ist Pflicht."
    texts = {"a": wrong, "b": "Für 10 € gibt’s „À la carte“ – s’il vous plaît."}
    corpus.cleanse(
        texts, kind="records", title={"a": "PrÃ¼fung"}, columns={"a": '{"what":"GerÃ¤te"}'}
    )
    row = corpus.rows()["a"]
    assert row["text"] == "Die Prüfung für Geräte – jährlich – ist Pflicht."
    assert (row["title"], row["columns"]) == ("Prüfung", '{"what":"Geräte"}')
    assert [e["part"] for e in row["edits"]] == ["text", "title", "columns"]
    assert corpus.rows()["b"]["text"] == texts["b"]


def test_passages_have_their_languages(corpus: Corpus) -> None:
    text = "\n\n".join([PROSE["de"], "Hinweis", PROSE["de"], PROSE["en"], PROSE["th"]])
    facts = corpus.cleanse({"a": text, "b": "OK", "c": "Where is my invoice, please?"})
    row = corpus.rows()["a"]
    assert [p["language"] for p in row["passages"]] == ["de", "en", "th"]
    said = [row["text"][p["start"] : p["end"]] for p in row["passages"]]
    assert said == ["\n\n".join([PROSE["de"], "Hinweis", PROSE["de"]]), PROSE["en"], PROSE["th"]]
    assert facts.by_language == {"de": 1, "en": 1, "unknown": 1}
    assert facts.passages_by_language == {"en": 2, "de": 1, "th": 1, "unknown": 1}


def test_a_cookie_banner_of_one_page_goes_and_a_text_on_cookies_stays(corpus: Corpus) -> None:
    about = "We use cookies to remember who is signed in. They are removed when you sign out."
    texts = {"page": f"{BANNER}\n{own_text('VPN')}", "about": f"Cookies\n\n{about}\n\n{about}!"}
    facts = corpus.cleanse(texts)
    assert corpus.texts() == {"page": own_text("VPN"), "about": texts["about"]}
    assert facts.removals == {"cookie_banner": 1}


def test_rows_of_data_are_let_be(corpus: Corpus) -> None:
    rows = {
        str(n): f"name | state | note\n\nname: M{n}\nstate: in stock and ready to be shipped\n"
        "note: stored in the central warehouse of the southern region, hall four"
        for n in range(12)
    }
    corpus.cleanse(rows, suffix=".csv")
    assert corpus.texts() == rows
