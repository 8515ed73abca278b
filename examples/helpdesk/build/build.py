"""Regenerates the helpdesk corpus, byte for byte: python examples/helpdesk/build/build.py."""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from pathlib import Path

import yaml
from copies import with_copies
from office import build_office
from pages import WRITERS, Page, html
from scans import corrupt, scan
from slots import TEXTS
from tickets import PER_QUEUE, Ticket, numbered, originals

SEED = 2417
CORRUPT = {
    "file": "handbook/gauge-register.pdf",
    "title": "Register of Gauges",
    "number": "HB-QM-11",
}
EMPTY = "wiki/it-support/outage-log.md"


def build_tickets() -> list[Ticket]:
    """All tickets by time, the planted copies among them."""
    return numbered(with_copies(originals(random.Random(SEED)), random.Random(SEED + 1)))


def build_pages() -> dict[str, bytes]:
    """Path -> bytes of every document of the handbook and the wiki."""
    files: dict[str, bytes] = {EMPTY: b""}
    rng = random.Random(SEED + 2)
    for department in PER_QUEUE:
        # BaseLoader keeps every cell of a table the text it is.
        source = (TEXTS / "pages" / f"{department}.yaml").read_text("utf-8")
        pages: list[Page] = yaml.load(source, Loader=yaml.BaseLoader)
        html_pages = [page for page in pages if page["file"].endswith(".html")]
        for page in pages:
            name = _placed(page["file"], department)
            if page.get("scan"):
                files[name] = scan(page, rng)
            elif name.endswith(".html"):
                files[name] = html(page, department, PER_QUEUE, html_pages)
            else:
                files[name] = WRITERS[Path(name).suffix](page, department)
    files[_placed(CORRUPT["file"], "quality")] = corrupt({**CORRUPT, "blocks": []}, rng)
    return files


def _placed(file: str, department: str) -> str:
    source, name = file.split("/")
    return f"{source}/{department}/{name}"


def records(tickets: list[Ticket]) -> str:
    """tickets.jsonl: only what a help desk would know."""
    lines = (
        {
            "ticket_id": t.ticket_id,
            "created_at": t.created_at.isoformat(),
            "queue": t.queue,
            "subject": t.subject,
            "body": t.body,
            "order": t.order,
        }
        for t in tickets
    )
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def planted(tickets: list[Ticket], office: dict[str, list[str]]) -> str:
    """planted.json: what a run over the corpus ought to find."""
    pii = Counter(slot for t in tickets for slot in t.pii)
    scans = [
        _placed(page["file"], department)
        for department in PER_QUEUE
        for page in yaml.safe_load((TEXTS / "pages" / f"{department}.yaml").read_text("utf-8"))
        if page.get("scan")
    ]
    found = {
        "exact_copies": {t.ticket_id: t.source for t in tickets if t.kind == "exact-copy"},
        "near_copies": {t.ticket_id: t.source for t in tickets if t.kind == "near-copy"},
        "mislabelled": {
            t.ticket_id: t.situation.split("/")[0] for t in tickets if t.kind == "mislabelled"
        },
        "unsorted": [t.ticket_id for t in tickets if t.kind == "unsorted"],
        "settled": {t.ticket_id: t.second for t in tickets if t.second},
        "ambiguous": [t.ticket_id for t in tickets if t.kind == "ambiguous"],
        "scans": scans,
        "corrupt": [_placed(CORRUPT["file"], "quality")],
        "empty": [EMPTY],
        "tickets_with_pii": dict(sorted(pii.items())),
        "situations": {t.ticket_id: t.situation for t in tickets},
        "office": office,
    }
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the corpus beside this folder, or under --out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent.parent)
    out: Path = parser.parse_args().out
    tickets = build_tickets()
    files = build_pages()
    files["tickets.jsonl"] = records(tickets).encode()
    office, invented = build_office(PER_QUEUE)
    files |= office
    files["planted.json"] = planted(tickets, invented).encode()
    for name, content in files.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


if __name__ == "__main__":
    main()
