"""The licence gate: a teacher's licence is read and checked before its weights are opened.

A student inherits obligations from its teacher, so a licence nobody allowed stops the run. Three
things have to agree: what the project file declares (`license:`), what the model itself states,
and the policy (`license_policy`). What a licence asks stands in the table `licence_terms.yaml`: the
policy's answers (commercial use, monthly users, region) are held against it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stillhouse.config.teacher import AcceptedTerms
from stillhouse.errors import UserError
from stillhouse.models.gguf import read_metadata
from stillhouse.models.licence_terms import (
    VERIFY,
    Circumstances,
    by_spelling,
    failing,
    openings,
    parts_of,
    student_duties,
    table,
    unanswered,
)
from stillhouse.models.sources import files_of
from stillhouse.storage.files import read_json

# How model cards, package metadata and licence texts spell what SPDX has a name for, and names
# for the well-known licences that SPDX does not list. Keys as `_key` leaves them.
SPELLINGS = {
    "apache": "Apache-2.0",
    "apache2": "Apache-2.0",
    "apache2.0": "Apache-2.0",
    "apachesoftware": "Apache-2.0",
    "apachesoftware2.0": "Apache-2.0",
    "mit": "MIT",
    "expat": "MIT",
    "bsd": "BSD-3-Clause",
    "bsd3": "BSD-3-Clause",
    "3clausebsd": "BSD-3-Clause",
    "newbsd": "BSD-3-Clause",
    "modifiedbsd": "BSD-3-Clause",
    "bsd2": "BSD-2-Clause",
    "2clausebsd": "BSD-2-Clause",
    "simplifiedbsd": "BSD-2-Clause",
    "ccby4.0": "CC-BY-4.0",
    "ccbysa4.0": "CC-BY-SA-4.0",
    "ccbync4.0": "CC-BY-NC-4.0",
    "mozillapublic2.0": "MPL-2.0",
}

# What the opening of a licence's text says, the more particular first; between these two stand the
# openings of the table.
LLAMA = (r"llama\s+(\d(?:\.\d)?)\s+community\s+license", r"llama\1")
TEXTS = (
    (r"apache\s+license\s+version\s+2\.0", "Apache-2.0"),
    (r"permission is hereby granted, free of charge, to any person", "MIT"),
    (r"redistribution and use in source and binary forms.*neither the name", "BSD-3-Clause"),
    (r"redistribution and use in source and binary forms", "BSD-2-Clause"),
)


class LicenceError(UserError):
    """The policy does not let this teacher teach."""


@dataclass(frozen=True)
class Statement:
    """A licence somebody states: its normalised name and where that was read."""

    licence: str
    where: str


@dataclass(frozen=True)
class LicenceRecord:
    """What was decided, and on what grounds; kept with everything the teacher helped to make.

    `duties` are the student's (see `student_duties`), `accepted` who accepted the terms and when,
    `unanswered` the fields of the policy that would decide a condition and are not set.
    """

    version: str
    licence: str
    declared: str
    stated: tuple[Statement, ...]
    allowed_by: str
    duties: tuple[str, ...] = ()
    accepted: str | None = None
    unanswered: tuple[str, ...] = ()


def normalise(licence: str) -> str:
    """The SPDX form of a licence name or expression; an unknown name in lower case.

    "Apache License 2.0", "apache-2.0" and "Apache Software License" are all Apache-2.0.
    """
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    key = _key(licence)
    if key in SPELLINGS:
        return SPELLINGS[key]
    if known := by_spelling().get(" ".join(licence.lower().split())):
        return known
    if llama := re.fullmatch(r"(?:meta)?llama(\d(?:\.\d)?)(?:community)?(?:agreement)?", key):
        return f"llama{llama[1]}"
    try:
        return str(canonicalize_license_expression(licence))
    except InvalidLicenseExpression:
        return " ".join(licence.lower().split())


def _key(licence: str) -> str:
    words = re.sub(r"\b(licen[sc]e[ds]?|the|version|clause|v(?=\d))", "", licence.lower())
    return re.sub(r"[^a-z0-9.]", "", words.replace("clause", "")).strip(".")


def stated_licences(source: Path) -> list[Statement]:
    """What the model in `source` (a folder or a .gguf file) says of its own licence.

    Read from GGUF headers, model cards, config.json and licence texts beside the weights. Only
    when none of these speaks does the metadata of the package around them count: it is about the
    package's code. No weights are read.
    """
    files = files_of(source)
    about_weights = [s for f in files if ".dist-info" not in str(f.parent) for s in _read(f)]
    if about_weights:
        return about_weights
    return [s for f in files if f.name == "METADATA" for s in _package_metadata(f)]


def _read(file: Path) -> list[Statement]:
    found: str | None = None
    name = file.name.lower()
    if name.endswith(".gguf"):
        found = read_metadata(file).get("general.license")
    elif name == "readme.md":
        found = _model_card(file)
    elif name == "config.json":
        found = read_json(file).get("license")
    elif re.fullmatch(r"(licen[sc]e|copying)(\.(txt|md))?", name):
        found = _licence_text(file)
    return [Statement(normalise(found), file.name)] if isinstance(found, str) and found else []


def front_matter(file: Path) -> dict[str, Any]:
    """What a model card says before its text; empty where it says nothing that can be read."""
    import yaml

    parts = file.read_text(encoding="utf-8", errors="replace").split("---", 2)
    if len(parts) < 3 or parts[0].strip():
        return {}
    try:
        card = yaml.safe_load(parts[1])
    except yaml.YAMLError:
        return {}
    return card if isinstance(card, dict) else {}


def _model_card(file: Path) -> str | None:
    """`license` of a model card's front matter, or `license_name` where it says "other"."""
    card = front_matter(file)
    licence = card.get("license")
    return card.get("license_name", licence) if licence == "other" else licence


def _licence_text(file: Path) -> str | None:
    opening = file.read_text(encoding="utf-8", errors="replace")[:4000].lower()
    opening = " ".join(opening.replace(",", " ,").replace(" ,", ",").split())
    for pattern, licence in (LLAMA, *openings(), *TEXTS):
        if match := re.search(pattern, opening.replace("license, version", "license version")):
            return match.expand(licence)
    return None


def _package_metadata(file: Path) -> list[Statement]:
    from email.parser import HeaderParser

    headers = HeaderParser().parsestr(file.read_text(encoding="utf-8", errors="replace"))
    classifiers = [c for c in headers.get_all("Classifier", []) if c.startswith("License ::")]
    licence = headers.get("License-Expression") or headers.get("License")
    if not licence and len(classifiers) == 1:
        licence = classifiers[0].rsplit("::", 1)[1]
    where = f"{file.parent.name}/METADATA"
    return [Statement(normalise(licence.splitlines()[0]), where)] if licence else []


def check_licence(
    version: str,
    declared: str,
    stated: list[Statement],
    *,
    allow: list[str],
    accepted_terms: Sequence[AcceptedTerms],
    policy_source: str,
    circumstances: Circumstances | None = None,
) -> LicenceRecord:
    """Let the teacher `version` pass, or raise `LicenceError`.

    It passes when what the model states agrees with `declared`, and that is in `allow`, or the
    licence or this very teacher is in `accepted_terms`, and no condition of it fails in these
    `circumstances`. Terms that forbid to learn from outputs have to be accepted by a person, by
    name and with a date. Of alternatives ("A OR B") one has to be allowed, of joint licences
    ("A AND B") each. A model that states nothing is taken at the project file's word.
    `policy_source` is the project file, for the message.
    """
    licence, at = normalise(declared), circumstances or Circumstances()
    for statement in stated:
        if statement.licence != licence:
            raise LicenceError(
                f"{policy_source}: teachers[{version}].license says {licence}, but the model "
                f"states {statement.licence} ({statement.where})",
                remedy=f"read the model's terms; if they are right, set `license: "
                f"{statement.licence}`, else take another teacher.",
            )
    rows = [row for name in parts_of(licence) if (row := table().get(name.strip()))]
    failed = {row.name: why for row in rows if (why := failing(row, at))}
    answered_for = {row.name for row in rows if row.outputs == "restricted"}

    names = {x.terms for x in accepted_terms}
    people = {x.terms: x for x in accepted_terms if x.by}
    by_person = {licence if x == version else normalise(x): who for x, who in people.items()}
    if licence in by_person:
        answered_for = set()
    # Of this very teacher, or of the expression as it stands, all parts are meant.
    whole = {licence, *(name.strip() for name in parts_of(licence))}
    alone = {normalise(name) for name in allow}
    terms = {licence if name == version else normalise(name) for name in names}
    alone, terms = (x | whole if licence in x else x for x in (alone, terms))
    closed = failed.keys() | (answered_for - by_person.keys())
    closed |= {licence} if closed else set()
    if _permitted(licence, alone - closed - answered_for):
        allowed_by = "license_policy.allow"
    elif _permitted(licence, (alone | terms) - closed):
        allowed_by = "license_policy.accepted_terms"
    else:
        where = f"{policy_source}: license_policy"
        raise _refused(where, version, licence, sorted(alone - whole), failed, answered_for)
    accepted = next((x for name, x in by_person.items() if name in whole), None)
    return LicenceRecord(
        version,
        licence,
        declared,
        tuple(stated),
        allowed_by,
        student_duties(licence),
        f"{accepted.by}, {accepted.when}" if accepted and allowed_by.endswith("terms") else None,
        tuple(dict.fromkeys(name for row in rows for name in unanswered(row, at))),
    )


def _refused(
    where: str,
    version: str,
    licence: str,
    allowed: list[str],
    failed: dict[str, list[str]],
    answered_for: set[str],
) -> LicenceError:
    sources = "; ".join(table()[name].verify for name in (*failed, *answered_for))
    if failed:
        reasons = "; ".join(f"{name}: {why}" for name, why in _flat(failed))
        return LicenceError(
            f"{where}: teacher {version} is not allowed: {reasons}",
            remedy=f"take another teacher, or a licence of its maker's for this use ({sources}).",
        )
    if answered_for:
        return LicenceError(
            f"{where}: {licence}, the terms of teacher {version}, restrict what may learn from "
            "its outputs; a person has to accept them",
            remedy=f"let who may decide that read them, and add {{terms: {licence}, by: NAME, "
            f"when: DATE}} to `license_policy.accepted_terms` ({sources}).",
        )
    return LicenceError(
        f"{where}.allow [{', '.join(allowed)}] does not have "
        f"{licence}, the licence of teacher {version}; it was not loaded",
        remedy=f"take a teacher under one of these; or, once its terms are read and accepted, "
        f"add `{licence}` to `license_policy.accepted_terms` ({VERIFY}).",
    )


def _flat(failed: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(name, reason) for name, reasons in failed.items() for reason in reasons]


def _permitted(licence: str, names: set[str]) -> bool:
    if licence in names:
        return True
    if "(" in licence:
        return False  # nested expressions have to be allowed as they stand
    if " OR " in licence:
        return any(_permitted(part, names) for part in licence.split(" OR "))
    if " AND " in licence:
        return all(_permitted(part, names) for part in licence.split(" AND "))
    return False
