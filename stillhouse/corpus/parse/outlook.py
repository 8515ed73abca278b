"""Outlook's .msg files: the mail, its attachments, and mails attached to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from stillhouse.corpus.confidentiality.properties import mail_said
from stillhouse.corpus.parse.mail import HEADERS, mail_document, text_in
from stillhouse.corpus.parse.markup import html_text
from stillhouse.corpus.parse.parts import Holder, Member, Part, read_part
from stillhouse.corpus.parse.unparsable import Unparsable

# Where the properties of a mail begin that lies within another: its stream has a shorter head.
INNER_OFFSET = 24
SHOWN_IN_HTML = 0x4
# PidTagSensitivity of [MS-OXCMSG] 2.2.1.13.
SENSITIVITIES = {1: "Personal", 2: "Private", 3: "Company-Confidential"}
INNER_MAIL = "__substg1.0_3701000D"


def msg_parts(holder: Holder) -> Iterator[Part]:
    from olefile import isOleFile  # type: ignore[import-untyped]
    from oxmsg import Message
    from oxmsg.domain.model import MSG_HDR_OFFSET

    data = read_part(holder.stream)
    if not isOleFile(data=data):
        raise Unparsable(
            "corrupt",
            "not an Outlook mail",
            remedy="save it again in Outlook, or as .eml.",
        )
    yield from _mail(Message.load(data)._storage, MSG_HDR_OFFSET)


def _mail(storage: Any, offset: int) -> Iterator[Part]:
    from oxmsg.domain import constants as c
    from oxmsg.domain.model import ATTACH_HDR_OFFSET
    from oxmsg.properties import Properties

    mail = Properties(storage, offset)
    values = (
        _text(mail, c.PID_SUBJECT),
        _sender(mail),
        _text(mail, c.PID_DISPLAY_TO),
        _text(mail, c.PID_DISPLAY_CC),
        _sent(mail),
    )
    headers = dict(zip(HEADERS, values, strict=True))
    body = _body(mail)
    yield mail_document(headers, body, mail_said(_told(mail, headers["Subject"])))
    if not body and mail.binary_prop_value(c.PID_RTF_COMPRESSED):
        yield Unparsable(
            "unsupported",
            "a mail whose text is kept as RTF alone",
            remedy="save it in Outlook as plain text or HTML, or as .eml.",
        )
    for attached in storage.iter_attachment_storages():
        inner = next((s for s in attached.storages if s.name == INNER_MAIL), None)
        if inner is not None:
            yield from _mail(inner, INNER_OFFSET)
            continue
        file = Properties(attached, ATTACH_HDR_OFFSET)
        name = _text(file, c.PID_ATTACH_LONG_FILENAME) or _text(file, c.PID_ATTACH_FILENAME)
        data = file.binary_prop_value(c.PID_ATTACH_DATA_BINARY)
        if data is None:
            yield Unparsable(
                "unsupported",
                "an attachment that is only a link to a file",
                remedy="put the file itself here.",
            )
        elif not _is_picture_of_html(file):
            yield Member(name, data)


def _told(mail: Any, subject: str) -> Iterator[tuple[str, str]]:
    """What it says of itself: header lines that it came with, and its sensitivity."""
    from email import message_from_string

    from oxmsg.domain import constants as c

    yield "Subject", subject
    yield "Sensitivity", SENSITIVITIES.get(mail.int_prop_value(c.PID_SENSITIVITY) or 0, "")
    came_with = message_from_string(_text(mail, c.PID_TRANSPORT_MESSAGE_HEADERS))
    yield from ((name, str(value)) for name, value in came_with.items() if name != "Subject")


def _body(mail: Any) -> str:
    from oxmsg.domain import constants as c

    if plain := _text(mail, c.PID_BODY):
        return plain
    html = mail.binary_prop_value(c.PID_HTML)
    if html is None:
        return html_text(_text(mail, c.PID_BODY_HTML))
    return html_text(text_in(html, mail.body_encoding))


def _sender(mail: Any) -> str:
    from oxmsg.domain import constants as c

    name = _text(mail, c.PID_SENDER_NAME)
    smtp = _text(mail, c.PID_SENDER_SMTP_ADDRESS) or _text(mail, c.PID_SENDER_EMAIL_ADDRESS)
    return f"{name} <{smtp}>" if name and "@" in smtp else name or smtp


def _sent(mail: Any) -> str:
    from oxmsg.domain import constants as c

    with suppress(OverflowError, ValueError):  # thousands of years from now
        sent = mail.date_prop_value(c.PID_CLIENT_SUBMIT_TIME)
        return sent.isoformat() if sent else ""
    return ""


def _text(properties: Any, number: int) -> str:
    """A property's text; "" where there is none, or bytes that its encoding doesn't know."""
    try:
        return (properties.str_prop_value(number) or "").replace("\0", "").strip()
    except UnicodeError:
        return ""


def _is_picture_of_html(file: Any) -> bool:
    from oxmsg.domain import constants as c

    flags = file.int_prop_value(c.PID_ATTACH_FLAGS) or 0
    return _text(file, c.PID_ATTACH_MIME_TAG).startswith("image/") and bool(flags & SHOWN_IN_HTML)
