from __future__ import annotations

import time

from stillhouse.corpus.pii.masker import Entity, Masked
from stillhouse.corpus.pii.names import names_in_addresses, repeated_names
from stillhouse.corpus.pii.spans import Finding, without_overlaps

ROWS = 20_000
SECONDS = 5.0  # what is quadratic takes minutes


def contacts() -> tuple[str, list[Finding]]:
    """A contact list, and a find for each name and address in it."""
    lines: list[str] = []
    findings: list[Finding] = []
    at = 0
    for n in range(ROWS):
        name = "Ann " + "".join("BDFHJKLMNP"[int(d)] + "aeiouaeiou"[int(d)] for d in str(n)).title()
        mail = f"{name.replace(' ', '.').lower()}@acme.example"
        there = at + len(name) + len(" | ")
        findings += [
            Finding("PERSON", at, at + len(name), 0.85),
            Finding("EMAIL_ADDRESS", there, there + len(mail), 1.0),
        ]
        lines.append(f"{name} | {mail}\n")
        at += len(lines[-1])
    return "".join(lines), findings


def test_a_long_list_of_contacts_takes_time_in_proportion() -> None:
    text, findings = contacts()
    begin = time.process_time()
    people = [f for f in findings if f.kind == "PERSON"]
    assert len(repeated_names(text, people)) == ROWS
    assert len(names_in_addresses(text, findings)) == ROWS
    assert without_overlaps(text, [*findings, *people], []) == sorted(
        findings, key=lambda f: f.start
    )
    first = Masked("", [Entity("P", f.start, f.end, 1.0, "Person-kuvora") for f in people])
    assert len(first.then(Masked("", first.entities)).entities) == 2 * ROWS
    assert time.process_time() - begin < SECONDS


def test_parts_of_a_name_count_written_as_names_whole_ones_anyhow() -> None:
    text = "John Lee will ask. JOHN LEE, john lee, Lee; LEE. lee, Johnlee, John. Lee"
    found = repeated_names(text, [Finding("PERSON", 0, 8, 0.85)])
    assert [text[f.start : f.end] for f in found] == [
        *("John Lee", "JOHN LEE", "john lee", "Lee", "LEE"),
        "John. Lee",
    ]
    assert {f.score for f in found} == {0.85}


def test_where_all_is_in_capitals_a_word_is_any_word() -> None:
    text = "JOHN SAID THE PUMP IS LATE AND HE SAID IT TWICE. MR SAID!"
    found = repeated_names(text, [Finding("PERSON", 0, 9, 0.85)])
    assert [text[f.start : f.end] for f in found] == ["JOHN SAID"]
