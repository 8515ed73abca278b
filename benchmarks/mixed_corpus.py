"""A company's mixed texts, invented: tickets, mails, manuals and messages of machines.

What repeats in such a corpus repeats here: a customer's signature under all of their messages, a
company's disclaimer, the mail that an answer quotes, the message of a monitor. The sentences around
it are hardly ever the same twice: their numbers, places and things differ.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

LOCALES = {"en": "en_GB", "de": "de_DE", "fr": "fr_FR", "es": "es_ES"}
SHARES = {"en": 0.6, "de": 0.2, "fr": 0.1, "es": 0.1}
KINDS = {"ticket": 0.5, "mail": 0.25, "manual": 0.15, "message": 0.1}
CUSTOMERS, COMPANIES = 150, 25

SENTENCES = {
    "en": (
        "The {thing} in {place} has been losing pressure since {day} and nobody here can say why.",
        "Please send the certificate for {thing} {code} to our office in {place} before {day}.",
        "We ordered {number} pieces under {code}, but only {small} arrived with the last delivery.",
        "Could you tell me whether {person} has already signed the form for the {thing}?",
        "I was told on {day} that the replacement would cost {amount}, which is far too much.",
        "After the update of {day} the {thing} shows error {code} whenever the door is opened.",
        "Our accountant, {person}, needs a corrected invoice over {amount} for order {code}.",
        "the {thing} makes a grinding noise at about {number} turns a minute, see the log {code}",
        "If the part isn't in stock, the one from {place} with number {code} would do as well.",
        "You can reach me until {small} in the afternoon on {phone}, later only by mail.",
        "Nothing has changed since my message of {day}: the lamp blinks {small} times and stops.",
        "Before you switch it on, close the valve behind the {thing} and wait {number} seconds.",
        "The limit for one {thing} is {amount} a year; above that, the head of the plant decides.",
        "Write the reading down in list {code} and compare it with the one of {day}.",
    ),
    "de": (
        "Die {thing} in {place} verliert seit dem {day} Druck, und niemand weiß, warum.",
        "Bitte schicken Sie das Zeugnis {code} bis zum {day} an unser Büro in {place}.",
        "Bestellt waren {number} Stück unter {code}, angekommen sind davon nur {small}.",
        "Hat {person} das Formular für die {thing} schon unterschrieben?",
        "Am {day} hieß es, der Ersatz werde {amount} kosten, was deutlich zu viel ist.",
        "Unsere Buchhalterin {person} braucht eine neue Rechnung über {amount} zu {code}.",
        "Sie erreichen mich bis {small} Uhr unter {phone}, danach nur noch per Mail.",
        "Vor dem Einschalten das Ventil hinter der {thing} schließen und {number} Sekunden warten.",
    ),
    "fr": (
        "La {thing} de {place} perd de la pression depuis le {day} et personne ne sait pourquoi.",
        "Merci d'envoyer le certificat {code} à notre bureau de {place} avant le {day}.",
        "Nous avons commandé {number} pièces sous {code}, mais {small} seulement sont arrivées.",
        "Est-ce que {person} a déjà signé le formulaire pour la {thing} ?",
        "Notre comptable {person} attend une facture corrigée de {amount} pour {code}.",
        "Fermez la vanne derrière la {thing} et attendez {number} secondes avant la mise en route.",
    ),
    "es": (
        "La {thing} de {place} pierde presión desde el {day} y nadie sabe por qué.",
        "Envíen por favor el certificado {code} a nuestra oficina de {place} antes del {day}.",
        "Pedimos {number} piezas con el número {code}, pero solo llegaron {small}.",
        "¿Ha firmado ya {person} el formulario para la {thing}?",
        "Nuestro contable, {person}, necesita una factura corregida de {amount} para {code}.",
        "Cierre la válvula detrás de la {thing} y espere {number} segundos antes de encenderla.",
    ),
}
THINGS = {
    "en": ("feed pump", "gear box", "cooling unit", "conveyor", "compressor", "filter press"),
    "de": ("Förderpumpe", "Kühlanlage", "Filterpresse", "Waage", "Schleuse", "Abfüllanlage"),
    "fr": ("pompe", "balance", "presse", "chaudière", "machine à étiqueter", "centrale"),
    "es": ("bomba", "báscula", "prensa", "caldera", "etiquetadora", "central"),
}
GREETINGS = {
    "en": ("Dear {person},", "Hello {first},", "Hi,", "Good morning,"),
    "de": ("Sehr geehrte Frau {last},", "Hallo {first},", "Guten Tag,"),
    "fr": ("Bonjour {first},", "Madame, Monsieur,", "Bonjour,"),
    "es": ("Estimado señor {last}:", "Hola {first}:", "Buenos días:"),
}
CLOSINGS = {
    "en": "Kind regards",
    "de": "Mit freundlichen Grüßen",
    "fr": "Cordialement",
    "es": "Saludos cordiales",
}
DISCLAIMERS = {
    "en": "This message and any files with it are confidential and meant for the addressee alone. "
    "If you have received it by mistake, please tell {company} at once and delete it. Any use, "
    "copying or passing on of its contents is forbidden. {company} accepts no liability for damage "
    "by viruses. Registered in England and Wales under {code}, registered office: {place}.",
    "de": "Diese Nachricht ist vertraulich und nur für den Empfänger bestimmt. Haben Sie sie "
    "irrtümlich erhalten, so benachrichtigen Sie bitte {company} und löschen Sie sie. Jede "
    "Verwendung oder Weitergabe des Inhalts ist untersagt. Sitz der Gesellschaft: {place}, "
    "Registernummer {code}. Bitte denken Sie an die Umwelt, bevor Sie diese Mail drucken.",
    "fr": "Ce message et ses pièces jointes sont confidentiels et destinés au seul destinataire. "
    "Si vous l'avez reçu par erreur, merci de prévenir {company} et de le détruire. Toute "
    "utilisation ou diffusion est interdite. Siège social : {place}, numéro {code}.",
    "es": "Este mensaje es confidencial y va dirigido únicamente a su destinatario. Si lo ha "
    "recibido por error, avise a {company} y elimínelo. Queda prohibida su difusión. Domicilio "
    "social: {place}, registro {code}.",
}
MESSAGES = (
    "Monitoring: disk usage on server 7 is above the threshold. The job has been restarted.",
    "Your request was received. A member of the service team will answer within two working days.",
    "The nightly backup ended without errors.",
    "Automatic reply: I am out of the office. In urgent cases please write to the shared mailbox.",
)


@dataclass(frozen=True)
class Customer:
    """Somebody who writes, always in one language and with one signature."""

    language: str
    signature: str
    disclaimer: str


class Writer:
    """Writes texts; the same `seed` writes the same ones."""

    def __init__(self, seed: int = 1) -> None:
        from faker import Faker

        self.rng = random.Random(seed)
        self.fakers = {language: Faker(locale) for language, locale in LOCALES.items()}
        for number, fake in enumerate(self.fakers.values()):
            fake.seed_instance(seed + number)
        companies = [self._company(self._language()) for _ in range(COMPANIES)]
        self.customers = [self._customer(*self.rng.choice(companies)) for _ in range(CUSTOMERS)]
        self.written: dict[str, list[str]] = {language: [] for language in LOCALES}

    def texts(self, count: int) -> list[str]:
        kinds: dict[str, Callable[[], str]] = {
            "ticket": self.ticket,
            "mail": self.mail,
            "manual": self.manual,
            "message": lambda: self.rng.choice(MESSAGES),
        }
        drawn = self.rng.choices(list(KINDS), list(KINDS.values()), k=count)
        return [kinds[kind]() for kind in drawn]

    def ticket(self) -> str:
        customer = self.rng.choice(self.customers)
        body = " ".join(self.sentences(customer.language, self.rng.randint(2, 4)))
        self.written[customer.language].append(body)
        parts = [body, customer.signature]
        if self.rng.random() < 0.4:
            parts.append(customer.disclaimer)
        return "\n\n".join(parts)

    def mail(self) -> str:
        customer = self.rng.choice(self.customers)
        language, fake = customer.language, self.fakers[customer.language]
        greeting = self.rng.choice(GREETINGS[language]).format(
            person=fake.name(), first=fake.first_name(), last=fake.last_name()
        )
        paragraphs = [
            " ".join(self.sentences(language, self.rng.randint(2, 4)))
            for _ in range(self.rng.randint(1, 3))
        ]
        parts = [greeting, *paragraphs, customer.signature, customer.disclaimer]
        if self.written[language] and self.rng.random() < 0.5:
            quoted = self.rng.choice(self.written[language])
            parts.append(f"> {quoted}")
        return "\n\n".join(parts)

    def manual(self) -> str:
        language = self._language()
        return "\n\n".join(self.paragraphs(language, self.rng.randint(3, 6)))

    def paragraphs(self, language: str, count: int) -> list[str]:
        return [" ".join(self.sentences(language, self.rng.randint(2, 5))) for _ in range(count)]

    def sentences(self, language: str, count: int) -> list[str]:
        fake, rng = self.fakers[language], self.rng
        return [
            rng.choice(SENTENCES[language]).format(
                thing=rng.choice(THINGS[language]),
                place=fake.city(),
                day=f"{rng.randint(1, 28)}/{rng.randint(1, 12)}",
                code=f"{rng.choice('ABKQW')}{rng.randint(10, 99)}-{rng.randint(1000, 9999)}",
                number=rng.randint(12, 950),
                small=rng.randint(2, 11),
                amount=f"{rng.randint(40, 9000)}.{rng.randint(10, 99)} EUR",
                person=fake.name(),
                phone=fake.phone_number(),
            )
            for _ in range(count)
        ]

    def heading(self, language: str) -> str:
        words: Any = self.fakers[language].words(self.rng.randint(2, 4))
        return " ".join(words).capitalize()

    def _language(self) -> str:
        return self.rng.choices(list(SHARES), list(SHARES.values()))[0]

    def _company(self, language: str) -> tuple[str, str, str]:
        fake = self.fakers[language]
        name = fake.company()
        code = self.rng.randint(10**6, 10**7)
        disclaimer = DISCLAIMERS[language].format(company=name, code=code, place=fake.city())
        return language, name, disclaimer

    def _customer(self, language: str, company: str, disclaimer: str) -> Customer:
        fake = self.fakers[language]
        address = ", ".join(fake.address().split("\n"))
        lines = (CLOSINGS[language], fake.name(), company, address)
        signature = "\n".join([*lines, f"{fake.phone_number()} | {fake.email()}"])
        return Customer(language, signature, disclaimer)
