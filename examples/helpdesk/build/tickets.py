"""Composes the support tickets out of hand-written situations, with a fixed seed.

A ticket is one core sentence (what the writer wants, which decides the queue) among
openers, context, asides about other departments' concerns, signatures and quoted mail. Most tell
of a second matter in the same words, which is settled: what words there are doesn't say which of
the two is wanted, how they stand does. Some say what order it is about.
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
    "billing": 126,
    "logistics": 122,
    "field-service": 118,
    "it-support": 114,
    "warranty": 112,
    "quality": 110,
    "human-resources": 108,
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
MISLABELLED = 10
# How often a remark shows whose work a matter is, and how often one in passing misleads; how often
# there are two matters, or one told as shortly, and how often what is settled stands first: the
# dials of how hard routing is.
P_ANCHOR, P_ASIDE, P_SECOND, P_TOPIC, P_SETTLED_FIRST = 0.90, 0.15, 0.82, 0.08, 0.85
# How often it is said what order a matter is about, where there is one.
P_ORDER = 0.22
WITHOUT_ORDERS = {"human-resources", "it-support"}
# Tickets without a queue, as they come in before anybody sorts them.
UNSORTED = 60
FIRST_DAY = datetime(2025, 1, 6, 7, 0, tzinfo=UTC)
DAYS = 420


@dataclass(frozen=True)
class Ticket:
    """A ticket and, apart from what is published, how it came about.

    `kind` is one of original, unsorted, ambiguous, mislabelled, exact-copy, near-copy; `situation`
    is "<department>/<number>", `second` the department of a matter that is settled; `source` is
    the ticket_id that a copy repeats. `order` is what the text says of an order.
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
    second: str = ""
    order: dict[str, str | int] | None = None


@dataclass(frozen=True)
class Situation:
    """One hand-written wish: who writes, and the wordings of its core sentence."""

    name: str
    writer: str
    wordings: tuple[str, ...]


PHRASES = yaml.safe_load((TEXTS / "phrases.yaml").read_text("utf-8"))
ANCHORS = yaml.safe_load((TEXTS / "anchors.yaml").read_text("utf-8"))
ORDERS = yaml.safe_load((TEXTS / "orders.yaml").read_text("utf-8"))
MATTERS = yaml.safe_load((TEXTS / "matters.yaml").read_text("utf-8"))
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


# What a line of ORDERS may name, and by which slot; a line has a product or a part.
FIELDS = [
    ("product", "{product}"),
    ("product", "{part}"),
    ("number", "{order}"),
    ("number", "{partno}"),
    ("quantity", "{qty}"),
    ("date", "{due}"),
]


def _order_line(slots: Slots, rng: random.Random) -> tuple[str, dict[str, str | int]]:
    """A line that says what order a matter is about, and what it says."""
    line = rng.choice(ORDERS)
    named = {name: slots.fill(slot) for name, slot in FIELDS if slot in line}
    return line, {k: int(v) if k == "quantity" else v for k, v in named.items()}


def _topic(queue: str, rng: random.Random, second: bool) -> tuple[Situation, str]:
    """A matter in a few words as a situation of its own; with a `second` one, whose that is."""
    number = rng.randrange(len(MATTERS["topics"][queue]))
    other, settled, frames = "", "", "one"
    if second:
        other = rng.choice([d for d in PER_QUEUE if d != queue])
        settled = rng.choice(MATTERS["topics"][other])
        frames = "settled_first" if rng.random() < P_SETTLED_FIRST else "open_first"
    frame: str = rng.choice(MATTERS[frames])
    core = frame.replace("{settled}", settled).replace("{open}", MATTERS["topics"][queue][number])
    writer = "staff" if {queue, other} & WITHOUT_ORDERS else "customer"
    return Situation(f"{queue}/topic-{number + 1:02d}", writer, (core,)), other


def _draft(
    queue: str,
    situation: Situation,
    core: str,
    rng: random.Random,
    kind: str = "original",
    second: str = "",
) -> Ticket:
    """One ticket around `core`; a vague one never tells its queue."""
    writer, order, short = situation.writer, None, "/topic-" in situation.name
    slots = Slots(rng, staff=writer == "staff")

    def pool(name: str) -> list[str]:
        return [*PHRASES[name].get("any", []), *PHRASES[name].get(writer, [])]

    before: list[str] = []
    after: list[str] = []
    if not short and rng.random() < 0.12:
        before.append(rng.choice(pool("openers")))
    if not short and kind == "original" and rng.random() < P_ANCHOR:
        rng.choice([before, after, after]).append(rng.choice(_remarks(queue, writer)))
    if kind == "original" and queue not in WITHOUT_ORDERS and rng.random() < P_ORDER:
        line, order = _order_line(slots, rng)
        rng.choice([before, before, after]).append(line)
    if not short and rng.random() < 0.08:
        rng.choice([before, after]).append(rng.choice(pool("context")))
    if not short and rng.random() < P_ASIDE:
        rng.choice([before, after, after]).append(_aside(queue, rng))
    if rng.random() < 0.10:
        rng.choice([before, after]).append(rng.choice(pool("pii")))
    if not short and rng.random() < 0.12:
        after.append(rng.choice(PHRASES["closers"]["any"]))

    message = casual([slots.fill(part) for part in [*before, core, *after]], slots.values, rng)
    subject = _subject(slots.fill(core), slots, rng)
    if rng.random() < 0.15:
        greeting = slots.fill(rng.choice(PHRASES["greetings"]))
        message = greeting + rng.choice(["\n", "\n\n", " "]) + message
    if rng.random() < 0.12:
        message += "\n\n" + slots.fill(rng.choice(PHRASES["signatures"][writer]))
    elif rng.random() < 0.15:
        message += "\n" + slots.fill(rng.choice(PHRASES["sign_offs"]))
    if rng.random() < 0.13:
        message += "\n\n" + _quote(slots, rng)
    pii = tuple(sorted(PII_SLOTS & slots.filled))
    return Ticket(
        queue, subject, message, situation.name, kind, pii=pii, second=second, order=order
    )


def _too_close(text: str, others: list[str]) -> bool:
    return any(shingle_overlap(text, other) > 0.5 for other in others)


def originals(rng: random.Random) -> list[Ticket]:
    """All tickets but the copies; none is a near-duplicate of another."""
    tickets: list[Ticket] = []
    for queue, count in PER_QUEUE.items():
        vague = PHRASES["ambiguous"][queue]
        alike: dict[str, list[str]] = {}
        clear = count - len(vague)
        two, one = round(P_SECOND * clear), round(P_TOPIC * clear)
        for number in range(two + one):
            situation, other = _topic(queue, rng, second=number < two)
            while _too_close(situation.wordings[0], alike.get(situation.name, [])):
                situation, other = _topic(queue, rng, second=number < two)
            alike.setdefault(situation.name, []).append(situation.wordings[0])
            tickets.append(_draft(queue, situation, situation.wordings[0], rng, second=other))
        for situation, core in _assignments(queue, clear - two - one, rng):
            siblings = alike.setdefault(core, [])
            ticket = _draft(queue, situation, core, rng)
            while _too_close(ticket.body, siblings):
                ticket = _draft(queue, situation, core, rng)
            siblings.append(ticket.body)
            tickets.append(ticket)
        for number, core in enumerate(vague, start=1):
            situation = Situation(f"{queue}/vague-{number}", "customer", (core,))
            tickets.append(_draft(queue, situation, core, rng, "ambiguous"))
    ordinary = [i for i, t in enumerate(tickets) if t.kind == "original"]
    for index in rng.sample(ordinary, UNSORTED):
        tickets[index] = replace(tickets[index], queue="", order=None, kind="unsorted")
    ordinary = [i for i, t in enumerate(tickets) if t.kind == "original"]
    for index in rng.sample(ordinary, MISLABELLED):
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
