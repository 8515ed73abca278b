"""Mails: what they say with their header lines, and each attachment as a part of its own.

Quoted replies stay: what they quote may be held nowhere else. Pictures that a mail's HTML shows are
part of its looks and left out, like those of a web page, and so are signatures of a protocol.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import Header, decode_header
from email.message import Message
from typing import Any

from stillhouse.corpus.confidentiality.marks import NOTHING, Said
from stillhouse.corpus.confidentiality.properties import mail_said
from stillhouse.corpus.parse.elements import Element, ParsedFile, assemble
from stillhouse.corpus.parse.encodings import decoded
from stillhouse.corpus.parse.markup import html_text
from stillhouse.corpus.parse.parts import (
    MAX_PART_BYTES,
    Holder,
    Member,
    Part,
    read_part,
    too_large,
)
from stillhouse.corpus.parse.unparsable import Unparsable

# Lines of the mail's text: whom it names is found and masked there.
HEADERS = ("Subject", "From", "To", "Cc", "Date")
ENVELOPE = ("From", "To", "Subject", "Date", "Received", "Message-ID", "MIME-Version")
# What is neither attached nor another mail; a mail whose boundary is lost is read as it stands.
READ_IN_PLACE = ("text/plain", "text/html", "multipart/mixed", "multipart/related")
CIPHERED = ("multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime")

# A mailbox parts its mails by lines such as "From ann@example.com Thu Jan  1 10:00:00 2026", after
# a blank line; within a mail the same is written ">From".
FROM_LINE = re.compile(rb"From .*\d\d:\d\d")
QUOTED_FROM = re.compile(rb">+From ")


def eml_parts(holder: Holder) -> Iterator[Part]:
    # Some programs write a byte order mark or blank lines first, which would end the header.
    data = read_part(holder.stream).lstrip(b"\xef\xbb\xbf\r\n")
    yield from message_parts(message_from_bytes(data))


def mbox_parts(holder: Holder) -> Iterator[Part]:
    """Each of its mails as a part, read one by one: a mailbox may be larger than the memory."""
    lines: list[bytes] = []
    size = 0
    begun, after_blank = False, True
    for line in _lines(holder):
        if after_blank and FROM_LINE.match(line):
            if begun:
                yield _mail(lines, size)
            lines, size, begun = [], 0, True
        elif begun:
            size += len(line)
            if size <= MAX_PART_BYTES:
                lines.append(line[1:] if QUOTED_FROM.match(line) else line)
            else:
                lines.clear()
        elif line.strip():
            raise Unparsable(
                "corrupt",
                "not a mailbox: its first line doesn't begin a mail",
                remedy="export it again as .mbox; give a single mail the suffix .eml.",
            )
        after_blank = not line.strip()
    if begun:
        yield _mail(lines, size)


def _lines(holder: Holder) -> Iterator[bytes]:
    """In pieces where a line has no end: a whole one might fill the memory."""
    while line := holder.stream.readline(1 << 20):
        yield line


def _mail(lines: list[bytes], size: int) -> Part:
    return too_large() if size > MAX_PART_BYTES else Member("mail.eml", b"".join(lines))


def message_parts(message: Message) -> Iterator[Part]:
    """The mail's own text first, then its attachments; one attached as a mail is read likewise."""
    if not any(name in message for name in ENVELOPE):
        raise Unparsable(
            "corrupt",
            "not a mail: it begins with no header lines",
            remedy="check what the file really is, and give it its right suffix.",
        )
    said: list[str] = []
    others: list[Message] = []
    _sort(message, said, others)
    told = mail_said((name, _header(message, name)) for name in dict.fromkeys(message.keys()))
    yield mail_document({name: _header(message, name) for name in HEADERS}, "\n\n".join(said), told)
    for part in others:
        yield from _attachment(part)


def mail_document(
    headers: dict[str, str], body: str, told: Said = NOTHING
) -> ParsedFile | Unparsable:
    lines = [f"{name}: {value}" for name, value in headers.items() if value]
    elements = [Element("Header lines", "\n".join(lines)), Element("Body", body)]
    parsed = assemble(elements, title=headers["Subject"])
    if not parsed.text:
        return Unparsable("empty", "the mail says nothing", remedy="remove it.")
    return replace(parsed, said=told)


def _sort(part: Message, said: list[str], others: list[Message]) -> None:
    """Texts to read in `said`, what is attached in `others`."""
    kind = part.get_content_type()
    if kind in ("message/rfc822", "multipart/encrypted"):
        others.append(part)
    elif not part.is_multipart():
        if not _is_attached(part) and kind in READ_IN_PLACE:
            said.append(_text(part))
        elif not _is_picture_of_html(part):
            others.append(part)
    elif kind == "multipart/alternative":
        _sort_alternatives(_children(part), said, others)
    elif not kind.startswith("message/"):  # a machine's notes on a delivery, told in words too
        signed = kind == "multipart/signed"
        for child in _children(part)[: 1 if signed else None]:
            _sort(child, said, others)


def _children(part: Message) -> list[Message]:
    payload = part.get_payload()
    found = payload if isinstance(payload, list) else []
    return [child for child in found if isinstance(child, Message)]


def _sort_alternatives(children: list[Message], said: list[str], others: list[Message]) -> None:
    """The same in several forms: the first that says anything, which is the plainest."""
    chosen = False
    for child in children:
        texts: list[str] = []
        attached: list[Message] = []
        _sort(child, texts, attached)
        if not chosen and any(text.strip() for text in texts):
            said += texts
            chosen = True
        # What is no file of its own is but another form, as of an invitation.
        others += [part for part in attached if _is_attached(part)]


def _is_attached(part: Message) -> bool:
    return part.get_content_disposition() == "attachment" or bool(_asked(part.get_filename))


def _is_picture_of_html(part: Message) -> bool:
    attached = part.get_content_disposition() == "attachment"
    return part.get_content_maintype() == "image" and "Content-ID" in part and not attached


def _text(part: Message) -> str:
    text = text_in(_payload(part), _asked(part.get_content_charset))
    return html_text(text) if part.get_content_type() == "text/html" else text


def _asked(get: Callable[[], str | None]) -> str:
    """A name or charset; "" where it is written so badly that the library stumbles over it."""
    with suppress(TypeError, ValueError):
        return get() or ""
    return ""


def _payload(part: Message) -> bytes:
    payload: Any = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def text_in(data: bytes, charset: str) -> str:
    """In the charset it declares, or another where that is wrong, or unknown."""
    with suppress(LookupError, ValueError):
        return data.decode(charset or "utf-8")
    try:
        return decoded(data)
    except Unparsable:
        return data.decode("utf-8", "replace")


def _attachment(part: Message) -> Iterator[Part]:
    kind = part.get_content_type()
    if kind == "message/rfc822":
        for inner in _children(part)[:1]:
            try:
                yield from message_parts(inner)
            except Unparsable as error:  # costs not what is attached beside it
                yield error
    elif kind in CIPHERED:
        yield Unparsable(
            "encrypted",
            "an encrypted mail",
            remedy="decrypt it in the mail program and save it anew.",
        )
    else:
        yield Member(_name(part, kind), _payload(part))


def _name(part: Message, kind: str) -> str:
    """By its name, or else by what it is said to be."""
    from mimetypes import MimeTypes

    from stillhouse.corpus.parse.kinds import kind_of, known_suffix

    name = _words(_asked(part.get_filename))
    if known_suffix(kind_of(name)):
        return name
    return f"file{MimeTypes().guess_extension(kind) or ''}"


def _header(message: Message, name: str) -> str:
    """A header's text on one line; those that come twice, both."""
    values = message.get_all(name, [])
    return ", ".join(" ".join(_words(value).split()) for value in values)


def _words(value: str | Header) -> str:
    """A header in plain words, whatever charset it is written in."""
    try:
        pieces = decode_header(value)
    except (HeaderParseError, ValueError):
        return str(value)
    return "".join(
        piece if isinstance(piece, str) else text_in(piece, charset or "")
        for piece, charset in pieces
    )
