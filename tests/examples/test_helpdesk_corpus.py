"""The helpdesk corpus: it is what its scripts make, and it holds what its README promises."""

import io
import json
import re
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path
from statistics import median, quantiles

import docx
import numpy as np
import pytest
from PIL import Image
from pypdf import PdfReader
from pypdf.errors import PyPdfError

HELPDESK = Path(__file__).parents[2] / "examples" / "helpdesk"
DEPARTMENTS = {
    "billing",
    "field-service",
    "human-resources",
    "it-support",
    "logistics",
    "quality",
    "warranty",
}
KEYWORDS = {
    "billing": "billing invoice payment charge credit",
    "logistics": "logistics delivery shipment pallet parcel transport",
    "field-service": "service visit engineer technician repair maintenance",
    "warranty": "warranty guarantee claim cover replacement",
    "it-support": "login password portal computer printer system",
    "human-resources": "holiday payslip contract leave wages employee",
    "quality": "quality batch certificate inspection defect drawing",
}


def build(folder: Path) -> Path:
    script = HELPDESK / "build" / "build.py"
    subprocess.run([sys.executable, str(script), "--out", str(folder)], check=True, timeout=120)
    return folder


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("rebuilt"))


@pytest.fixture(scope="module")
def tickets() -> list[dict[str, str]]:
    return [json.loads(line) for line in (HELPDESK / "tickets.jsonl").open(encoding="utf-8")]


@pytest.fixture(scope="module")
def planted() -> dict:
    return json.loads((HELPDESK / "planted.json").read_text("utf-8"))


def made_files(root: Path) -> dict[str, Path]:
    """The generated files: build/, the README and what a run writes are not among them."""
    folders = ("handbook", "wiki", "office")
    found = [p for part in folders for p in (root / part).rglob("*") if p.is_file()]
    found += [root / "tickets.jsonl", root / "planted.json", root / "office-password.txt"]
    return {p.relative_to(root).as_posix(): p for p in found}


def content(path: Path) -> object:
    """What a reader finds in a file, whatever the version of the library that wrote it.

    Compressed streams and the XML around the text differ between versions of reportlab,
    python-docx, Pillow and zlib; the text, the number of pages and their size do not.
    """
    if path.suffix == ".pdf" and path.name != "gauge-register.pdf":
        reader = PdfReader(path)
        if reader.is_encrypted:
            reader.decrypt((HELPDESK / "office-password.txt").read_text())
        pages = reader.pages
        return [(page.extract_text(), page.mediabox, len(page.images)) for page in pages]
    if path.suffix == ".docx":
        document = docx.Document(str(path))
        cells = [cell.text for t in document.tables for row in t.rows for cell in row.cells]
        return [p.text for p in document.paragraphs], cells, document.core_properties.title
    if path.name == "gauge-register.pdf":
        return len(path.read_bytes())
    if path.suffix == ".png":
        return Image.open(path).convert("L").tobytes()
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return archive.namelist(), archive.read("delivery-addresses.csv")
    return path.read_bytes()


def strip(body: str) -> str:
    """The body without quoted mail and signature."""
    body = re.split(r"\n\nOn .*wrote:", body)[0].split("\n-- \n")[0]
    return re.split(r"\n\n(?:Kind|Best) regards,|\n\nYours sincerely,", body)[0]


def overlap(one: str, two: str) -> float:
    """Jaccard similarity of the word 5-grams."""
    grams = []
    for text in (one, two):
        words = re.findall(r"[a-z0-9']+", text.lower())
        grams.append({tuple(words[i : i + 5]) for i in range(max(1, len(words) - 4))})
    return len(grams[0] & grams[1]) / len(grams[0] | grams[1])


def test_committed_files_are_what_the_scripts_make(rebuilt: Path) -> None:
    committed, fresh = made_files(HELPDESK), made_files(rebuilt)
    assert set(committed) == set(fresh)
    for name, path in fresh.items():
        assert content(committed[name]) == content(path), name


def test_two_builds_give_the_same_bytes(rebuilt: Path, tmp_path: Path) -> None:
    once, again = made_files(rebuilt), made_files(build(tmp_path))
    assert {n: p.read_bytes() for n, p in once.items()} == {
        n: p.read_bytes() for n, p in again.items()
    }


def test_documents_by_kind(planted: dict) -> None:
    kinds = Counter((n.split("/")[0], Path(n).suffix) for n in made_files(HELPDESK) if "/" in n)
    assert kinds == {
        ("handbook", ".pdf"): 17,
        ("handbook", ".docx"): 2,
        ("wiki", ".html"): 13,
        ("wiki", ".md"): 8,
        ("office", ".docx"): 3,
        ("office", ".pdf"): 1,
        ("office", ".png"): 1,
        ("office", ".csv"): 1,
        ("office", ".mbox"): 1,
        ("office", ".zip"): 1,
    }
    for source in ("handbook", "wiki"):
        assert {p.name for p in (HELPDESK / source).iterdir()} == DEPARTMENTS
    for name in planted["scans"]:
        pages = PdfReader(HELPDESK / name).pages
        assert [(p.extract_text().strip(), len(p.images)) for p in pages] == [("", 1)] * 2
    with pytest.raises((PyPdfError, ValueError)):
        _ = PdfReader(io.BytesIO((HELPDESK / planted["corrupt"][0]).read_bytes())).pages[0]
    assert [(HELPDESK / name).stat().st_size for name in planted["empty"]] == [0]
    binaries = [p for p in made_files(HELPDESK).values() if p.suffix in {".pdf", ".docx"}]
    assert sum(p.stat().st_size for p in binaries) < 1_500_000


def test_pdfs_have_headers_and_footers_that_repeat(planted: dict) -> None:
    odd = {*planted["scans"], *planted["corrupt"]}
    files = [n for n in made_files(HELPDESK) if n.startswith("handbook/") and n not in odd]
    texts = [n for n in files if n.endswith(".pdf")]
    assert len(texts) == 14
    for name in texts:
        pages = [page.extract_text() for page in PdfReader(HELPDESK / name).pages]
        assert len(pages) == 2, name
        for number, text in enumerate(pages, start=1):
            assert "Brackwater Pumpworks Ltd - Handbook" in text
            assert f"Page {number} of 2" in text
            assert len(text.split()) > 45, f"{name}: page {number} is nearly bare"


def test_tickets_are_many_balanced_and_short(tickets: list[dict[str, str]], planted: dict) -> None:
    assert len(tickets) == 870 == len({t["ticket_id"] for t in tickets})
    assert [t["created_at"] for t in tickets] == sorted(t["created_at"] for t in tickets)
    queues = Counter(t["queue"] for t in tickets)
    assert queues.pop("") == 60 == len(planted["unsorted"])
    assert set(queues) == DEPARTMENTS
    assert min(queues.values()) >= 60
    assert max(queues.values()) <= 2 * min(queues.values())
    lengths = [len(strip(t["body"]).split()) for t in tickets]
    assert 16 <= median(lengths) <= 28
    assert quantiles(lengths, n=10)[8] < 50
    assert 0.25 < sum(strip(t["body"]) != t["body"] for t in tickets) / len(tickets) < 0.36
    assert 0.1 < sum(not t["subject"] for t in tickets) / len(tickets) < 0.4
    assert not [t["ticket_id"] for t in tickets if re.search(r"[{}]", t["body"] + t["subject"])]


def test_copies_are_copies_and_nothing_else_is(
    tickets: list[dict[str, str]], planted: dict
) -> None:
    by_id = {t["ticket_id"]: t for t in tickets}
    for copy, source in planted["exact_copies"].items():
        assert by_id[copy]["body"] == by_id[source]["body"]
    overlaps = []
    for copy, source in {**planted["exact_copies"], **planted["near_copies"]}.items():
        assert by_id[copy]["queue"] == by_id[source]["queue"]
        assert by_id[copy]["created_at"] > by_id[source]["created_at"]
        if copy in planted["near_copies"]:
            overlaps.append(overlap(by_id[copy]["body"], by_id[source]["body"]))
    assert len(planted["exact_copies"]) == 25
    assert len(overlaps) == 35
    assert min(overlaps) >= 0.6
    assert sum(value >= 0.8 for value in overlaps) >= 28
    originals = [
        t
        for t in tickets
        if t["ticket_id"] not in {**planted["exact_copies"], **planted["near_copies"]}
    ]
    bodies = [strip(t["body"]) for t in originals]
    close = [
        (originals[i]["ticket_id"], originals[j]["ticket_id"])
        for i in range(len(bodies))
        for j in range(i)
        if planted["situations"][originals[i]["ticket_id"]]
        == planted["situations"][originals[j]["ticket_id"]]
        and overlap(bodies[i], bodies[j]) >= 0.7
    ]
    assert close == []


def test_labels_are_right_but_for_the_planted_noise(
    tickets: list[dict[str, str]], planted: dict
) -> None:
    wrong = {
        t["ticket_id"]: planted["situations"][t["ticket_id"]].split("/")[0]
        for t in tickets
        if planted["situations"][t["ticket_id"]].split("/")[0] != t["queue"] != ""
    }
    assert wrong == planted["mislabelled"]
    routed = sum(t["queue"] != "" for t in tickets)
    assert 0.02 <= (len(wrong) + len(planted["ambiguous"])) / routed <= 0.04
    known = Counter(s.split("/")[0] for s in {*planted["situations"].values()} if "vague" not in s)
    assert set(known) == DEPARTMENTS
    assert min(known.values()) >= 15


def test_identifiers_are_invented_but_well_formed(tickets: list[dict[str, str]]) -> None:
    text = "\n".join(t["body"] for t in tickets)
    domains = {d.rstrip(".") for d in re.findall(r"@([\w.-]+)", text)}
    assert domains
    assert all(d.endswith(".example") or d.startswith("example.") for d in domains)
    ibans = re.findall(r"\b(?:GB|DE|NL)\d\d(?: BRKW)?(?: \d{4})+(?: \d\d)\b", text)
    assert len(ibans) >= 10
    for iban in ibans:
        plain = iban.replace(" ", "")
        number = "".join(str(int(c, 36)) for c in plain[4:] + plain[:4])
        assert int(number) % 97 == 1, iban
    accounts = re.findall(r"BW-(\d{6})-(\d)", text)
    cards = [re.sub(r"\D", "", c) for c in re.findall(r"\b(?:\d{4} ){3}\d{4}\b", text)]
    cards = [c for c in cards if c[0] in "45"]
    assert len(accounts) >= 10
    assert len(cards) >= 5
    for number in [a + check for a, check in accounts] + cards:
        digits = [int(d) for d in reversed(number)]
        assert sum(sum(divmod(d * (1 + i % 2), 10)) for i, d in enumerate(digits)) % 10 == 0
    us = re.findall(r"\d{3}\)?[ -]555[ -]\d{4}", text)
    assert us
    assert all(re.search(r"555[ -]01\d\d", number) for number in us)
    london = re.findall(r"20 79\d\d \d{4}", text)
    assert london
    assert all(number.startswith("20 7946 0") for number in london)


def test_of_two_matters_one_is_settled(tickets: list[dict[str, str]], planted: dict) -> None:
    """And it is another department's."""
    for ticket, department in planted["settled"].items():
        assert department in DEPARTMENTS
        assert not planted["situations"][ticket].startswith(f"{department}/")
    assert 0.7 <= len(planted["settled"]) / len(tickets) <= 0.85


def test_what_is_said_of_an_order_stands_in_the_ticket(tickets: list[dict]) -> None:
    told = [t for t in tickets if t["order"]]
    assert 0.12 <= len(told) / len(tickets) <= 0.2
    for ticket in told:
        assert 3 <= len(ticket["order"]) <= 4
        assert set(ticket["order"]) <= {"product", "number", "quantity", "date"}
        for value in ticket["order"].values():
            assert re.search(rf"\b{re.escape(str(value))}\b", ticket["body"]), ticket
    counts = Counter(field for t in told for field in t["order"])
    assert min(counts.values()) > len(told) / 2


def test_words_alone_do_not_tell_the_department(
    tickets: list[dict[str, str]], planted: dict
) -> None:
    """Of two matters a bag of words can but guess which one is wanted."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline

    routed = [t for t in tickets if t["queue"]]
    texts = [strip(t["body"]) for t in routed]
    queues = np.array([t["queue"] for t in routed])
    source = {**planted["exact_copies"], **planted["near_copies"]}
    groups = [source.get(t["ticket_id"], t["ticket_id"]) for t in routed]
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(max_iter=1000)
    )
    right = cross_val_predict(model, texts, queues, groups=groups, cv=folds) == queues
    two = np.array([t["ticket_id"] in planted["settled"] for t in routed])
    assert right[two].mean() < 0.6
    assert right.mean() < 0.62

    def by_keywords(text: str) -> str:
        counts = {q: sum(w in text.lower() for w in KEYWORDS[q].split()) for q in KEYWORDS}
        return max(counts, key=counts.__getitem__)

    hits = sum(by_keywords(t) == q for t, q in zip(texts, queues, strict=True))
    assert hits / len(texts) < 0.5
