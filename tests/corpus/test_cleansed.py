"""The step: what a source repeats goes, whatever else is short or alike stays, and all of it can
be put back."""

from __future__ import annotations

import json
from collections import Counter
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
        self.facts = cleanse_documents(settings or Cleansing(), self.layout)
        return self.facts

    def rows(self) -> dict[str, Row]:
        found = read_table(self.layout.table("cleansed_documents")).to_pylist()
        return {row["doc_id"]: row for row in found}

    def texts(self) -> dict[str, str]:
        for name, row in self.rows().items():
            edits = [Edit(**{k: v for k, v in e.items() if k != "part"}) for e in row["edits"]]
            if all(edit["part"] == "text" for edit in row["edits"]):
                assert undo(row["text"], edits) == self.parsed[name]
        return {name: row["text"] for name, row in self.rows().items()}


FORM = "Department: {d}\nPriority: {p}\nWhat is wrong?\n{text}\nOrder: 47{n:02}\nThank you"
DISCLAIMER = (
    "This message is intended only for the person to whom it is addressed and may contain "
    "information that is confidential. If you have received it in error, delete it."
)
CONCERNING = "Concerning the hydraulic press HP 200 in hall 3"
ON_COOKIES = "We use cookies to remember who is signed in. They go when you sign out."
WRONG = "Die PrÃ¼fung fÃ¼r GerÃ¤te â€“ jÃ¤hrlich â€“ ist Pflicht."
RIGHT = "Für 10 € gibt’s „À la carte“ – s’il vous plaît."
MIXED = [PROSE["de"], "Hinweis", PROSE["de"], PROSE["en"], PROSE["th"]]


def sources() -> dict[str, dict[str, str]]:
    """The texts of several sources: by source, then by what tells them apart."""
    topics = list(enumerate(TOPICS.values()))
    values = [{"d": ["IT", "HR"][n % 2], "p": ["high", "low"][n % 3 > 0]} for n, _ in topics]
    lines = [f"{text} ({n})" for n, text in topics]
    return {
        "wiki": wiki_pages(),
        "form": {str(n): FORM.format(text=t, n=n, **values[n]) for n, t in topics},
        "versions": {
            str(n): "\n\n".join([f"Handbook of version {n}", *lines, f"Changed in {n}: {n}"])
            for n in range(10)
        },
        "alike": {str(n): "The printer on the second floor does not print." for n in range(30)},
        "mails": {
            str(n): f"Dear colleagues,\n{text}" + (f"\n{DISCLAIMER}" if n % 2 else "")
            for n, text in topics
        },
        "answers": {str(n): f"{CONCERNING}\n{text}" for n, text in topics},
        "data": {
            str(n): f"name | state | note\n\nname: M{n}\nstate: in stock and ready to be shipped\n"
            "note: stored in the central warehouse of the southern region, hall four"
            for n in range(12)
        },
        "scans": {
            "scan": "\n\n".join(NOISE),
            "half": "\n\n".join([PROSE["en"], NOISE[0], PROSE["de"]]),
            "codes": "\n".join(SPARSE),
            **{f"sparse {n}": text for n, text in enumerate(SPARSE)},
        },
        "languages": {**PROSE, "mixed": "\n\n".join(MIXED), "short": "OK"},
        "wrong": {"wrong": WRONG, "right": RIGHT},
        "cookies": {
            "page": f"{BANNER}\n{own_text('VPN')}",
            "about": f"Cookies\n\n{ON_COOKIES}\n\n{ON_COOKIES}!",
        },
        # Pages of one wiki, too few in each source.
        **{f"few {s}": dict(list(wiki_pages().items())[s : s + 4]) for s in (0, 4)},
    }


RECORDS = ("form", "mails", "answers", "wrong")
ANSWERED = [f"answers {n}" for n in range(6)]


@pytest.fixture(scope="module")
def cleansed(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """All of `sources`, cleansed at once."""
    corpus = Corpus(tmp_path_factory.mktemp("cleansed"))
    texts = {f"{s} {name}": text for s, found in sources().items() for name, text in found.items()}
    source = {f"{s} {name}": s for s, found in sources().items() for name in found}
    columns = {name: json.dumps({"machine": "HP 200"}) for name in ANSWERED}
    corpus.cleanse(
        texts,
        source=source,
        kind={n: "records" if s in RECORDS else "documents" for n, s in source.items()},
        suffix={n: ".csv" if s == "data" else ".html" for n, s in source.items()},
        columns={**columns, "wrong wrong": '{"what":"GerÃ¤te"}'},
        title={"wrong wrong": "PrÃ¼fung"},
    )
    return corpus


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return Corpus(tmp_path)


def of(corpus: Corpus, source: str) -> dict[str, str]:
    texts = corpus.texts().items()
    start = f"{source} "
    return {name.removeprefix(start): text for name, text in texts if name.startswith(start)}


def test_menus_and_footers_of_a_wiki_go_and_its_headings_stay(cleansed: Corpus) -> None:
    assert of(cleansed, "wiki") == {topic: own_text(topic) for topic in TOPICS}


@pytest.mark.parametrize("source", ["form", "versions", "alike", "data", "few 0", "few 4"])
def test_what_is_only_alike_stays(cleansed: Corpus, source: str) -> None:
    """Tickets of one form, copies and versions, rows of data, pages too few to tell."""
    assert of(cleansed, source) == sources()[source]


def test_disclaimers_of_some_go_where_greetings_of_all_stay(cleansed: Corpus) -> None:
    mails = sources()["mails"].items()
    expected = {name: mail.removesuffix(f"\n{DISCLAIMER}") for name, mail in mails}
    assert of(cleansed, "mails") == expected


def test_what_answers_name_stays_in_the_text(cleansed: Corpus) -> None:
    kept = [f"answers {n}" for n, t in of(cleansed, "answers").items() if CONCERNING in t]
    assert kept == ANSWERED


def test_letters_that_are_no_words_are_left_out_and_quarantined(cleansed: Corpus) -> None:
    row = cleansed.rows()["scans scan"]
    assert (row["status"], row["reason"]) == ("left_out", "noise") and row["quality"] < 0.4
    texts, expected = of(cleansed, "scans"), sources()["scans"]
    assert texts["half"] == f"{PROSE['en']}\n\n{PROSE['de']}"
    del expected["scan"], expected["half"]
    assert expected.items() <= texts.items()
    assert cleansed.facts.left_out == {"noise": 1}
    (row,) = read_table(cleansed.layout.quarantine("cleansed_documents")).to_pylist()
    assert (row["source"], row["file_id"], row["category"]) == ("scans", "f", "noise")
    assert row["reason"] and row["remedy"]


def test_mojibake_is_mended_in_texts_titles_and_answers(cleansed: Corpus) -> None:
    row = cleansed.rows()["wrong wrong"]
    assert row["text"] == "Die Prüfung für Geräte – jährlich – ist Pflicht."
    assert (row["title"], row["columns"]) == ("Prüfung", '{"what":"Geräte"}')
    assert [e["part"] for e in row["edits"]] == ["text", "title", "columns"]
    edit = {name: value for name, value in row["edits"][0].items() if name != "part"}
    assert undo(row["text"], [Edit(**edit)]) == WRONG
    assert of(cleansed, "wrong")["right"] == RIGHT


def test_documents_and_passages_have_their_languages(cleansed: Corpus) -> None:
    rows = cleansed.rows()
    assert {name: rows[f"languages {name}"]["language"] for name in PROSE} == {n: n for n in PROSE}
    assert rows["languages short"]["language"] is None
    assert rows["form 3"]["language"] == "en"  # records have theirs too
    row = rows["languages mixed"]
    assert (row["language"], [p["language"] for p in row["passages"]]) == ("de", ["de", "en", "th"])
    said = [row["text"][p["start"] : p["end"]] for p in row["passages"]]
    assert said == ["\n\n".join(MIXED[:3]), *MIXED[3:]]


def test_a_cookie_banner_of_one_page_goes_and_a_text_on_cookies_stays(cleansed: Corpus) -> None:
    about = sources()["cookies"]["about"]
    assert of(cleansed, "cookies") == {"page": own_text("VPN"), "about": about}


def test_removals_and_languages_are_counted(cleansed: Corpus) -> None:
    facts, rows = cleansed.facts, [r for r in cleansed.rows().values() if r["status"] == "kept"]
    edits = [edit for row in rows for edit in row["edits"]]
    assert facts.documents == len(rows) and facts.touched == sum(bool(r["edits"]) for r in rows)
    assert facts.removals == Counter(edit["reason"] for edit in edits)
    assert facts.removals["boilerplate"] == 2 * len(TOPICS) + 6 + 6
    assert sum(facts.removed_characters.values()) == sum(len(e["removed"]) for e in edits)
    assert facts.by_language == Counter(row["language"] or "unknown" for row in rows)
    passages = [p["language"] or "unknown" for row in rows for p in row["passages"]]
    assert facts.passages_by_language == Counter(passages)


def test_a_new_document_is_all_that_is_read_until_something_becomes_boilerplate(
    corpus: Corpus,
) -> None:
    pages = wiki_pages()
    names = list(pages)
    assert corpus.cleanse({name: pages[name] for name in names[:4]}).removals == {}
    fifth = corpus.cleanse({name: pages[name] for name in names[:5]})
    assert (fifth.computed, fifth.reused, fifth.dropped) == (5, 0, 4)
    assert fifth.removals == {"boilerplate": 10}
    sixth = corpus.cleanse({name: pages[name] for name in names[:6]})
    assert (sixth.computed, sixth.reused) == (1, 5)
    # However it came to be.
    (corpus.layout.cache("lines") / "lines.parquet").unlink()
    corpus.layout.table("cleansed_documents").unlink()
    again = corpus.cleanse({name: pages[name] for name in names[:6]})
    assert (again.computed, again.digest) == (6, sixth.digest)
    off = corpus.cleanse(pages, Cleansing(enabled=False))
    assert corpus.texts() == pages and off.removals == {}
