"""Plants the duplicates: tickets sent twice, and sent again with a light edit."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

from style import shingle_overlap, words
from tickets import Ticket

EXACT, NEAR = 25, 35
# A near-copy under this overlap would be a new ticket; most lie above 0.8.
LEAST_OVERLAP = 0.6
TAILS = ["Any news?", "Please answer.", "Sent again, sorry.", "I wrote this before.", "Second try."]
HEADS = ["Reminder:", "Again:", "Once more:", "Hello again,", "Resent:"]


def with_copies(tickets: list[Ticket], rng: random.Random) -> list[Ticket]:
    """The tickets and their copies; a copy's `source` is the index of what it repeats.

    Copies come hours to days later and keep the queue. Only ordinary tickets are repeated,
    for near-copies only those long enough that a light edit leaves most word 5-grams whole.
    """
    ordinary = [i for i, t in enumerate(tickets) if t.kind == "original"]
    twice = rng.sample(ordinary, EXACT)
    long_enough = [i for i in ordinary if i not in twice and len(words(tickets[i].body)) >= 40]
    copies = [_copy(tickets[i], i, "exact-copy", tickets[i].body, rng) for i in twice]
    for rank, i in enumerate(rng.sample(long_enough, NEAR)):
        # One in seven is edited in the middle, which falls below a threshold of 0.8.
        body = _edited(tickets[i].body, middle=rank % 7 == 6, rng=rng)
        copies.append(_copy(tickets[i], i, "near-copy", body, rng))
    return [*tickets, *copies]


def _copy(ticket: Ticket, index: int, kind: str, body: str, rng: random.Random) -> Ticket:
    later = ticket.created_at + timedelta(seconds=rng.randint(3600, 6 * 86400))
    subject = ticket.subject if kind == "exact-copy" else rng.choice([ticket.subject, "", "Again"])
    return replace(
        ticket, body=body, subject=subject, kind=kind, created_at=later, source=str(index)
    )


def _edited(body: str, middle: bool, rng: random.Random) -> str:
    while True:
        text = body
        roll = rng.random()
        if middle:
            tokens = text.split(" ")
            at = rng.randrange(len(tokens) // 3, 2 * len(tokens) // 3)
            text = " ".join([*tokens[:at], rng.choice(["really", "still", "now"]), *tokens[at:]])
        elif roll < 0.4 and "\n" not in text:
            text = f"{text} {rng.choice(TAILS)}"
        elif roll < 0.7 or "\n" in text:
            text = f"{rng.choice(HEADS)} {text}"
        else:
            text = text.replace(",", "").rstrip(".?!") + rng.choice(["!", "...", ". Thanks."])
        if rng.random() < 0.5:
            text = text.replace(". ", " - ", 1)
        if text != body and shingle_overlap(text, body) >= LEAST_OVERLAP:
            return text
