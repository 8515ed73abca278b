"""Material as offices have it: wiki pages with their menus, letters, tickets of one form."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyarrow as pa

from stillhouse.storage.tables import write_table

MENU = """Acme Intranet
Home
News
IT Service
Human Resources
Facilities
Recent changes
Log in"""
BANNER = """This website uses cookies to improve your experience. By continuing you accept them.
Accept all
Only necessary
Cookie settings"""
FOOTER = """Was this page helpful?
Yes
No
Last edited on {date} by the editorial team
© 2019–{year} Acme Industries Ltd. All rights reserved. Legal notice and privacy policy apply."""

TOPICS = {
    "VPN": "Install the client from the software centre and enter your personnel number.",
    "Printer": "A blinking amber lamp means that the waste toner box has to be emptied.",
    "Travel": "Book trains through the portal; flights need the approval of your manager.",
    "Payroll": "Payslips are available from the fifth working day of the month on.",
    "Badge": "A lost badge is blocked at the reception, which also hands out a new one.",
    "Phone": "Forward calls with star twenty-one, followed by the number and the hash key.",
    "Parking": "Spaces on level two are for visitors; electric cars charge on level three.",
    "Canteen": "The menu of the week is posted on Mondays, vegetarian dishes every day.",
    "Laptop": "Laptops are replaced after four years, or when a repair costs more than half.",
    "Mail": "Mailboxes hold fifty gigabytes; attachments above thirty megabytes are refused.",
    "Backup": "Files on the home drive are kept for ninety days after they were deleted.",
    "Wifi": "Guests get a code at the reception that is valid until the end of the day.",
}


def wiki_pages() -> dict[str, str]:
    """Pages of one wiki: a menu, the text with headings that recur, a footer with the date."""
    pages = {}
    for number, (topic, sentence) in enumerate(TOPICS.items()):
        footer = FOOTER.format(date=f"{number + 3}.0{number % 9 + 1}.2024", year=2020 + number % 5)
        own = f"{topic} at Acme\n\nSummary\n\n{sentence}\n\nContact\n\nAsk the {topic} desk."
        pages[topic] = re.sub(r"\n+", "\n\n", f"{MENU}\n{own}\n{footer}")
    return pages


def own_text(topic: str) -> str:
    return f"{topic} at Acme\n\nSummary\n\n{TOPICS[topic]}\n\nContact\n\nAsk the {topic} desk."


PROSE = {
    "en": "The pump has to be vented before it is started, or it will run dry and be damaged.",
    "de": "Vor der Inbetriebnahme ist die Pumpe zu entlüften, da sie sonst trocken läuft und "
    "Schaden nimmt; die Gewährleistung erlischt.",
    "fr": "Avant la mise en service, il faut purger la pompe, faute de quoi elle tourne à vide.",
    "th": "ก่อนเริ่มใช้งานปั๊มต้องไล่อากาศออกก่อน มิฉะนั้นปั๊มจะทำงานโดยไม่มีน้ำและเสียหาย",
    "lo": "ກ່ອນເລີ່ມໃຊ້ງານ ຕ້ອງໄລ່ອາກາດອອກຈາກປ້ຳກ່ອນ ຖ້າບໍ່ດັ່ງນັ້ນປ້ຳຈະເສຍຫາຍ",
    "ja": "ポンプを始動する前に必ず空気を抜いてください。空運転すると故障の原因になります。",
    "zh": "启动水泵之前必须先排气，否则水泵会空转并损坏，保修也将失效。",
    "ru": "Перед пуском насос необходимо удалить воздух, иначе он будет работать всухую.",
    "el": "Πριν από την εκκίνηση η αντλία πρέπει να εξαερωθεί, αλλιώς θα λειτουργήσει χωρίς νερό.",
    "ar": "يجب تفريغ الهواء من المضخة قبل تشغيلها وإلا فإنها ستعمل جافة وتتلف.",
    "cs": "Před spuštěním je nutné čerpadlo odvzdušnit, jinak poběží nasucho a poškodí se.",
}

# What has few words and is none the worse for it.
SPARSE = [
    "4711-22  DIN 933 M8x40 A2-70  100 Stk  AX-4472/B  12,50 EUR  3.2 kg  IP65",
    "SKF 6204-2RSH | 12 pcs | 20x47x14 mm | 4.35 €",
    "if (values[i] > 0 && !seen.contains(x)) { sum += values[i]; } // see #4711",
    "SELECT a.id, b.name FROM t AS a JOIN u AS b ON a.k = b.k WHERE b.n > 3;",
    "rsync -avz --delete /srv/data/ backup@10.0.0.3:/mnt/b1/ >> /var/log/x.log 2>&1",
    "E = m · c² ; F = m · a ; P = U · I ; Q = m · c · ΔT",
    "Tel. +49 30 901820-77, Fax -78, info@acme.example, www.acme.example, USt-IdNr. DE123456789",
    "Strč prst skrz krk, vlk zmrzl, zhltl hrst zrn",
    "WLAN PC USB HDMI LCD LED VGA DVI CPU GPU RAM SSD",
    "McDonald, O'Neill und iPhone-Nutzer mit GmbH-Vertrag, ggf. lt. StVO bzw. BGB",
    "2024-03-01 12:00:01 ERROR [main] c.a.App - Connection refused: host=db01, port=5432",
]

NOISE = [
    "~ ‘ ; | _. i ,¢ 4 £ vv 7° oN \\ . . rt lkj wq ^ } ¬",
    "¦ iI1 |_ .: ' ,, —= ~~ « rn }{ ;; xX qz ¬ ° _ —",
    "_| ' . tT ~~ ; |' ,. lI |l {} ^ ¢ 8£ jk \\\\ wW | _ vr",
]


def write_parsed(table: Path, texts: dict[str, str], **columns: Any) -> None:
    """A table of parsed documents by id; `columns` are of all, or by id."""
    usual = {"source": "wiki", "kind": "documents", "suffix": ".html", "status": "parsed"}
    usual |= {"title": "", "columns": None, "file_id": "f"}
    rows = []
    for number, (name, text) in enumerate(texts.items()):
        given = {k: v.get(name) if isinstance(v, dict) else v for k, v in columns.items()}
        given = {k: v for k, v in given.items() if v is not None}
        rows.append({"doc_id": name, "text": text, "position": number, **usual, **given})
    names = ("doc_id", "text", *usual)
    schema = pa.schema([*((n, pa.string()) for n in names), ("position", pa.int64())])
    write_table(table, pa.Table.from_pylist(rows, schema=schema))
