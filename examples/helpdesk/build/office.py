"""The office's folder, as such folders come: a mailbox, a zip, a register, a scanned letter, a PDF
under a password, and papers that are nobody's business.

People and addresses are Faker's, as in the marked texts.
"""

from __future__ import annotations

import csv
import io
import random
import zipfile
from collections.abc import Iterable
from datetime import timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

import yaml
from faker import Faker
from marked import Invented
from pages import EPOCH, ZIP_EPOCH, html, pdf, word
from scans import letter
from slots import TEXTS

SEED = 7129
MAILBOX, ARCHIVE = "office/service-desk.mbox", "office/deliveries.zip"
REGISTER, LETTER = "office/pump-register.csv", "office/claim-letter.png"
PASSWORD_FILE = "office-password.txt"
DROP_POINTS = "delivery-addresses.csv"
STAFF = "service@brackwater.example"

Page = dict[str, Any]


class Office:
    """Fills the hand-written texts; `people` and `addresses` are all that it put into them."""

    def __init__(self) -> None:
        self.texts = yaml.safe_load((TEXTS / "office.yaml").read_text("utf-8"))
        self.rng = random.Random(SEED)
        self._fakers: dict[str, Faker] = {}
        self.people: set[str] = set()
        self.addresses: set[str] = set()

    def invented(self, locale: str) -> Invented:
        """Somebody new."""
        if locale not in self._fakers:
            self._fakers[locale] = Faker(locale)
            self._fakers[locale].seed_instance(SEED + len(self._fakers))
        return Invented(self.rng, self._fakers, locale)

    def fill(self, who: Invented, template: str) -> str:
        filled: dict[str, Any] = who.fill(template)
        for span in filled["spans"]:
            value = filled["text"][span["start"] : span["end"]]
            if span["kind"] in ("PERSON", "ADDRESS"):
                (self.people if span["kind"] == "PERSON" else self.addresses).add(value)
        return str(filled["text"])

    def page(self, page: Page) -> Page:
        who = self.invented(page["locale"])
        blocks = [
            {kind: self.fill(who, said) for kind, said in block.items()} for block in page["blocks"]
        ]
        locked = {"password": self.texts["password"]} if page.get("locked") else {}
        return {**page, **locked, "blocks": blocks}

    def table(self, locales: Iterable[str], columns: dict[str, str]) -> bytes:
        """A CSV file with a row for somebody of each locale."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        for locale in locales:
            who = self.invented(locale)
            writer.writerow(self.fill(who, slot) for slot in columns.values())
        return stream.getvalue().encode()

    def mailbox(self, attachments: dict[str, bytes]) -> bytes:
        lines: list[bytes] = []
        for number, mail in enumerate(self.texts["mails"]):
            sent = EPOCH + timedelta(days=number, minutes=37 * number)
            message = self._mail(mail, number, attachments)
            message["Date"] = format_datetime(sent)
            lines += [f"From {STAFF} {sent:%a %b %d %H:%M:%S %Y}\n".encode(), bytes(message), b"\n"]
        return b"".join(lines)

    def _mail(self, mail: dict[str, Any], number: int, attachments: dict[str, bytes]) -> Any:
        who = self.invented(mail["locale"])
        body = self.fill(who, mail["body"])
        outside = self.fill(who, "{person} <{email}>")
        message = EmailMessage()
        ends = (STAFF, outside) if mail.get("from_staff") else (outside, STAFF)
        message["From"], message["To"] = ends
        message["Subject"] = self.fill(who, mail["subject"])
        message["Message-ID"] = f"<{number}@brackwater.example>"
        message.set_content(f"{body}\n\n{self.texts['disclaimer']}\n", cte="quoted-printable")
        if name := mail.get("attach"):
            content = attachments[name].decode()
            message.add_attachment(content, subtype="csv", filename=name, cte="base64")
            message.set_boundary(f"part-of-{number}")
        return message


def zipped(files: dict[str, bytes]) -> bytes:
    """An archive of these files, the same bytes each time."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name, ZIP_EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return stream.getvalue()


def build_office(departments: Iterable[str]) -> tuple[dict[str, bytes], dict[str, list[str]]]:
    """Path -> bytes of its files, and who and what was put into them."""
    office = Office()
    texts = office.texts
    drops = office.table(
        texts["drop_points"],
        {"contact": "{person}", "address": "{address_line}", "phone": "{phone}"},
    )
    files = {
        MAILBOX: office.mailbox({DROP_POINTS: drops}),
        REGISTER: office.table(
            texts["register"],
            {"serial": "{serial}", "product": "{product}", "owner": "{person}",
             "address": "{address_line}", "account": "{account}"},
        ),
        PASSWORD_FILE: texts["password"].encode(),
    }  # fmt: skip
    who = office.invented(texts["letter"]["locale"])
    files[LETTER] = letter(office.fill(who, texts["letter"]["lines"]), office.rng)
    for page in map(office.page, texts["documents"]):
        write = word if page["file"].endswith(".docx") else pdf
        files[page["file"]] = write(page, "logistics")
    pages = [office.page(page) for page in texts["archived"]]
    webbed = [page for page in pages if page["file"].endswith(".html")]
    files[ARCHIVE] = zipped(
        {DROP_POINTS: drops}
        | {
            page["file"]: html(page, "field-service", departments, webbed)
            if page in webbed
            else word(page, "logistics")
            for page in pages
        }
    )
    held_back = [
        "office/Restricted/pay-review.docx",
        "office/board-minutes.docx",
        f"{MAILBOX}: closing the Ostrey foundry",
    ]
    return files, {
        "people": sorted(office.people),
        "addresses": sorted(office.addresses),
        "held_back": held_back,
    }
