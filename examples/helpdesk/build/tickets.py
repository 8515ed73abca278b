"""Composes the support tickets out of hand-written situations, with a fixed seed.

A ticket is one core sentence (what the writer wants, which decides the queue) among
openers, context, asides about other departments' concerns, signatures and quoted mail.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import yaml
from slots import TEXTS, Slots
from style import casual, shingle_overlap

# Uneven as real queues are; before copies.
PER_QUEUE = {
    "billing": 114,
    "logistics": 106,
    "field-service": 100,
    "it-support": 96,
    "warranty": 90,
    "quality": 82,
    "human-resources": 72,
}
# Where a hurried clerk drags a ticket instead of its own queue.
MISTAKEN_FOR = {
    "billing": ["warranty", "logistics"],
    "logistics": ["billing", "quality"],
    "field-service": ["warranty", "logistics"],
    "it-support": ["human-resources", "billing"],
    "warranty": ["quality", "field-service"],
    "quality": ["warranty", "logistics"],
    "human-resources": ["it-support", "billing"],
}
MISLABELLED = 13
# How often a remark shows whose work it is, and how often a settled one misleads: the two
# dials of how hard routing is.
P_ANCHOR, P_ASIDE = 0.90, 0.15
FIRST_DAY = datetime(2025, 1, 6, 7, 0, tzinfo=UTC)
DAYS = 420


@dataclass(frozen=True)
class Ticket:
    """A ticket and, apart from what is published, how it came about.

    `kind` is one of original, ambiguous, mislabelled, exact-copy, near-copy; `situation` is
    "<department>/<number>"; `source` is the ticket_id that a copy repeats.
    """

    queue: str
    subject: str
    body: str
    situation: str
    kind: str = "original"
    created_at: datetime = FIRST_DAY
    ticket_id: str = ""
    source: str = ""
    pii: tuple[str, ...] = ()


@dataclass(frozen=True)
class Situation:
    """One hand-written wish: who writes, and the wordings of its core sentence."""

    name: str
    writer: str
    wordings: tuple[str, ...]


PHRASES = yaml.safe_load((TEXTS / "phrases.yaml").read_text("utf-8"))
ANCHORS = yaml.safe_load((TEXTS / "anchors.yaml").read_text("utf-8"))
PII_SLOTS = {"person", "writer", "phone", "email", "person_email"}
PII_SLOTS |= {"iban", "account", "card", "employee"}


def situations(department: str) -> list[Situation]:
    """The department's situations, in the order of its file: blocks of writer and wordings."""
    blocks = (TEXTS / "situations" / f"{department}.txt").read_text("utf-8").strip().split("\n\n")
    found = []
    for number, block in enumerate(blocks, start=1):
        writer, *wordings = block.splitlines()
        found.append(Situation(f"{department}/{number:02d}", writer, tuple(wordings)))
    return found


def _assignments(department: str, count: int, rng: random.Random) -> list[tuple[Situation, str]]:
    """`count` (situation, wording) pairs: every situation once before any a second time."""
    pairs: list[tuple[Situation, str]] = []
    known = situations(department)
    turn = {s.name: rng.randrange(len(s.wordings)) for s in known}
    while len(pairs) < count:
        for situation in rng.sample(known, len(known)):
            wording = situation.wordings[turn[situation.name] % len(situation.wordings)]
            turn[situation.name] += 1
            pairs.append((situation, wording))
    return pairs[:count]


def _remarks(queue: str, writer: str) -> list[str]:
    """What a writer may add that shows whose work the matter is."""
    return [*ANCHORS[queue]["any"], *ANCHORS[queue].get(writer, [])]


def _aside(queue: str, rng: random.Random) -> str:
    """A remark on another department's concern: the words of a queue that isn't asked."""
    department = rng.choice([d for d in PHRASES["asides"] if d != queue])
    return str(rng.choice(PHRASES["asides"][department]))


def _subject(core: str, slots: Slots, rng: random.Random) -> str:
    roll = rng.random()
    if roll < 0.25:
        return ""
    if roll < 0.75:
        return slots.fill(rng.choice(PHRASES["subjects"]))
    words = core.split()[: rng.randint(3, 5)]
    return " ".join(words).rstrip(",.;:?!")


def _quote(slots: Slots, rng: random.Random) -> str:
    lines = rng.choice(PHRASES["quotes"]["bodies"])
    header = rng.choice(PHRASES["quotes"]["headers"])
    return slots.fill("\n".join([header, *(f"> {line}" for line in lines)]))


def compose(
    queue: str, writer: str, core: str, vague: bool, rng: random.Random
) -> tuple[str, str, Slots]:
    """(subject, body, slots) of one ticket around `core`; a vague one never tells its queue."""
    slots = Slots(rng, staff=writer == "staff")

    def pool(name: str) -> list[str]:
        return [*PHRASES[name].get("any", []), *PHRASES[name].get(writer, [])]

    before: list[str] = []
    after: list[str] = []
    if rng.random() < 0.12:
        before.append(rng.choice(pool("openers")))
    if not vague and rng.random() < P_ANCHOR:
        rng.choice([before, after, after]).append(rng.choice(_remarks(queue, writer)))
    if rng.random() < 0.08:
        rng.choice([before, after]).append(rng.choice(pool("context")))
    if rng.random() < P_ASIDE:
        rng.choice([before, after, after]).append(_aside(queue, rng))
    if rng.random() < 0.14:
        after.append(rng.choice(pool("pii")))
    if rng.random() < 0.12:
        after.append(rng.choice(PHRASES["closers"]["any"]))

    message = casual([slots.fill(part) for part in [*before, core, *after]], slots.values, rng)
    subject = _subject(slots.fill(core), slots, rng)
    if rng.random() < 0.25:
        greeting = slots.fill(rng.choice(PHRASES["greetings"]))
        message = greeting + rng.choice(["\n", "\n\n", " "]) + message
    if rng.random() < 0.17:
        message += "\n\n" + slots.fill(rng.choice(PHRASES["signatures"][writer]))
    elif rng.random() < 0.25:
        message += "\n" + slots.fill(rng.choice(PHRASES["sign_offs"]))
    if rng.random() < 0.13:
        message += "\n\n" + _quote(slots, rng)
    return subject, message, slots


def _draft(
    queue: str, situation: Situation, core: str, rng: random.Random, kind: str = "original"
) -> Ticket:
    subject, body, slots = compose(queue, situation.writer, core, kind == "ambiguous", rng)
    pii = tuple(sorted(PII_SLOTS & slots.filled))
    return Ticket(queue, subject, body, situation.name, kind, pii=pii)


def originals(rng: random.Random) -> list[Ticket]:
    """All tickets but the copies; none is a near-duplicate of another."""
    tickets: list[Ticket] = []
    for queue, count in PER_QUEUE.items():
        vague = PHRASES["ambiguous"][queue]
        by_wording: dict[str, list[str]] = {}
        for situation, core in _assignments(queue, count - len(vague), rng):
            siblings = by_wording.setdefault(core, [])
            ticket = _draft(queue, situation, core, rng)
            while any(shingle_overlap(ticket.body, other) > 0.5 for other in siblings):
                ticket = _draft(queue, situation, core, rng)
            siblings.append(ticket.body)
            tickets.append(ticket)
        for number, core in enumerate(vague, start=1):
            situation = Situation(f"{queue}/vague-{number}", "customer", (core,))
            tickets.append(_draft(queue, situation, core, rng, "ambiguous"))
    clear = [i for i, t in enumerate(tickets) if t.kind == "original"]
    for index in rng.sample(clear, MISLABELLED):
        wrong = rng.choice(MISTAKEN_FOR[tickets[index].queue])
        tickets[index] = replace(tickets[index], queue=wrong, kind="mislabelled")
    rng.shuffle(tickets)
    return [replace(t, created_at=_moment(rng)) for t in tickets]


def _moment(rng: random.Random) -> datetime:
    """A second in the working hours of a weekday."""
    while True:
        day = FIRST_DAY + timedelta(days=rng.randrange(DAYS))
        if day.weekday() < 5 or rng.random() < 0.1:
            return day + timedelta(seconds=rng.randrange(11 * 3600))


def numbered(tickets: list[Ticket]) -> list[Ticket]:
    """The tickets by time, with their ids; a copy's `source` index becomes the source's id."""
    order = sorted(range(len(tickets)), key=lambda i: (tickets[i].created_at, i))
    ids = {str(index): f"T-{rank:05d}" for rank, index in enumerate(order, start=1001)}
    return [
        replace(tickets[i], ticket_id=ids[str(i)], source=ids.get(tickets[i].source, ""))
        for i in order
    ]
