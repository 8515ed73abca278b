"""What a report says to who audits it: what a student was made of, what was kept from it, under
which terms; from `audit` of `evaluation.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stillhouse.report.use import LIMITS, NOT_INTENDED, intended, masks
from stillhouse.tasks.sections import Section, Table
from stillhouse.wording import MISSING

TITLE = "For the audit"
INTRO = (
    "What this student was made of, what was kept from it, and under which terms: counts and "
    "digests as they were recorded when it was made. No document is named."
)
SPLITS = ("train", "validation", "test")

Audit = Mapping[str, Any]


def audit_sections(evaluation: Mapping[str, Any]) -> list[Section]:
    """The sections for the audit; empty where nothing was recorded."""
    found: Audit = evaluation.get("audit") or {}
    if not found:
        return []
    return [
        _sources(found),
        _left_out(found),
        _masked(found),
        _confidentiality(found),
        *_reviews(found),
        *_licence(found),
        _use(masked=masks(evaluation)),
        _digests(found),
    ]


def _sources(found: Audit) -> Section:
    rows = [
        [s["name"], s["kind"], _count(s["files"]), _count(s["documents"]), *_by_split(s["pairs"])]
        for s in found["sources"]
    ]
    said = [
        f"{_count(found['documents'])} documents and records were read from these sources, by "
        "their names in the project file."
    ]
    if unlabelled := sum(found["dataset"]["by_origin"].get("unlabelled", {}).values()):
        said.append(
            f"{unlabelled:,} of the pairs had no answer: the teacher was asked for one, and those "
            "that it was sure of were learned from."
        )
    if found["newer"]:
        said.append(
            f"Made anew since this student's dataset: {', '.join(found['newer'])}. What is counted "
            "of these steps is what they say now; files, documents and pairs of sources, levels of "
            "pairs, and all digests are the dataset's own."
        )
    header = ["Source", "Kind", "Files", "Documents", *(f"Pairs, {split}" for split in SPLITS)]
    caption = (
        "Files are those of the last listing; documents and pairs those that the dataset holds, "
        "after everything below was left out. A document may give several pairs."
    )
    return Section("Sources", said, tables=[Table(header, rows, caption)])


def _left_out(found: Audit) -> Section:
    duplicates = found["duplicates"]
    rows = [
        *_reasons("files that are no input", found["unread"]),
        *_reasons("could not be read (quarantine)", found["quarantine"]),
        *_reasons("taken out by cleansing", found["left_out"]),
        ["the same text as another", "exact duplicate", _count(duplicates.get("exact_duplicates"))],
        ["nearly the same text", "near-duplicate", _count(duplicates.get("near_duplicates"))],
        ["withheld", "more confidential than allowed", _count(duplicates.get("withheld"))],
    ]
    caption = (
        "Duplicates leave one text of each; families of them stand on one side of train and test."
    )
    header = ["What", "Reason", "Files or documents"]
    return Section("What was left out", tables=[Table(header, rows, caption)])


def _reasons(what: str, counts: Mapping[str, int]) -> list[list[str]]:
    found = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    return [[what, reason, _count(n)] for reason, n in found] or [[what, MISSING, "0"]]


def _masked(found: Audit) -> Section:
    masked, quality = found["masked"], found["pii_quality"]
    said = [
        f"{_count(masked.get('entities'))} pieces of personal data in "
        f"{_count(masked.get('documents_with_entities'))} of {_count(masked.get('documents'))} "
        "documents were masked before anything was learned from them."
        if masked.get("kinds") != 0
        else "Nothing was masked: the project file names no kind of personal data "
        "(`privacy.entities`). What the texts hold of it, the student may have learned.",
        *_how_well(quality),
        *_risk(found["reidentification_risk"]),
    ]
    recall = quality.get("recall_by_kind", {})
    kinds = sorted(
        {*masked["by_kind"], *recall}, key=lambda kind: (-masked["by_kind"].get(kind, 0), kind)
    )
    rows = [
        [kind, _count(masked["by_kind"].get(kind, 0)), _share(recall.get(kind))] for kind in kinds
    ]
    caption = "Recall of a kind is the share that is masked of what was marked in texts."
    tables = [Table(["Kind", "Masked", "Recall"], rows, caption)] if rows else []
    return Section("Personal data", said, tables=tables)


def _how_well(quality: Mapping[str, Any]) -> list[str]:
    if quality.get("recall") is None:
        return [
            "How much of it masking finds was not measured here: no texts with marked personal "
            "data are named (`privacy.pii_gold`)."
        ]
    said = (
        f"Of {quality['spans']:,} pieces marked in {quality['texts']:,} texts, masking covers "
        f"{_share(quality['recall'])} wholly{_interval(quality, 'recall')}, and "
        f"{quality['partly_masked']:,} more in part"
    )
    if quality.get("precision") is not None:
        precision = f"{_share(quality['precision'])} of what it takes for personal data is"
        said += f"; {precision}{_interval(quality, 'precision')}"
    found = [f"{said}. What it misses the student may have seen; the leak audit tries to get it."]
    if quality["not_looked_for"]:
        kinds = ", ".join(quality["not_looked_for"])
        found.append(f"Marked, and by the project's settings not masked: {kinds}.")
    return found


def _interval(values: Mapping[str, Any], name: str) -> str:
    low, high = values.get(f"{name}_low"), values.get(f"{name}_high")
    if low is None or high is None:
        return ""
    return f" (95% interval {_share(low)} to {_share(high)})"


def _risk(risk: Mapping[str, Any]) -> list[str]:
    if risk.get("unique_share") is None:
        return []
    return [
        f"After masking, {_share(risk['unique_share'])} of the documents "
        f"({risk['unique_documents']:,} of {risk['documents']:,}) are the only ones with what is "
        "detected in them, so that who knows it may tell them apart; without rare words it is "
        f"{_share(risk['unique_share_without_words'])}. Fewer than five share it in "
        f"{_share(risk['below_5_share'])}. What nobody detects is not counted."
    ]


def _confidentiality(found: Audit) -> Section:
    levels = found["confidentiality"]
    names = list(dict.fromkeys([*levels["pairs"], *levels["documents"]]))
    rows = [
        [name, _count(levels["documents"].get(name, 0)), *_by_split(levels["pairs"].get(name, {}))]
        for name in names
    ]
    header = ["Level", "Documents read", *(f"Pairs, {split}" for split in SPLITS)]
    said = [f"By the project file, texts up to {levels['train_up_to']} are learned from."]
    return Section("Confidentiality", said, tables=[Table(header, rows)])


def _reviews(found: Audit) -> list[Section]:
    said = []
    for what, seen in found["reviews"].items():
        phrase = f"People read {seen['read']:,} of a sample of {what}: {seen['accepted']:,} "
        phrase += f"accepted, {seen['corrected']:,} corrected, {seen['rejected']:,} rejected"
        if seen.get("reject_rate") is not None:
            rate = _share(seen["reject_rate"])
            phrase += f"; of all, {rate} would not be accepted{_interval(seen, 'reject_rate')}"
        said.append(f"{phrase}.")
    return [Section("What people read", said)] if said else []


def _licence(found: Audit) -> list[Section]:
    licence = found["licence"]
    if not licence:
        return []
    said = [
        f"The teacher, {licence['model']}, is under {licence['teacher']}, allowed by "
        f"`{licence['allowed_by']}` of the project file."
    ]
    if licence["stated"]:
        where = "; ".join(f"{one['where']}: {one['licence']}" for one in licence["stated"])
        said.append(f"The model itself states it ({where}).")
    if licence["student"] != licence["teacher"]:
        said.append(f"The student is under {licence['student']}.")
    said.append("This is no legal advice: verify at the primary source.")
    rows = [[duty] for duty in licence["duties"]]
    tables = [Table(["Duties of who passes the student on"], rows)] if rows else []
    return [Section("Licence and duties", said, tables=tables)]


def _use(*, masked: bool) -> Section:
    rows = [
        [what, said]
        for what, all_said in (
            ("intended", intended(masked=masked)),
            ("not intended", NOT_INTENDED),
            ("limit", LIMITS),
        )
        for said in all_said
    ]
    return Section("What it is for, and what not", tables=[Table(["Use", "What"], rows)])


def _digests(found: Audit) -> Section:
    dataset, file = found["dataset"], found["project_file"]
    rows = [
        ["dataset", dataset["digest"] or MISSING],
        *([f"dataset, {name}", value] for name, value in dataset.get("digests", {}).items()),
        *([f"what {step} made", value] for step, value in found["models"].items()),
        [f"{file['name']} now (SHA-256)", file["now"] or MISSING],
    ]
    others = {step: value for step, value in file["of"].items() if value != file["now"]}
    rows += [[f"{file['name']} when {step} was made", value] for step, value in others.items()]
    rows += [[f"run of {step}", run] for step, run in found["runs"].items()]
    return Section("Digests and runs", tables=[Table(["What", "Value"], rows)], folded=True)


def _by_split(pairs: Mapping[str, int]) -> list[str]:
    return [_count(pairs.get(split, 0)) for split in SPLITS]


def _count(value: int | None) -> str:
    return MISSING if value is None else f"{value:,}"


def _share(value: float | None) -> str:
    return MISSING if value is None else f"{value:.1%}"
