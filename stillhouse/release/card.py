"""The model card, README.md: what a release is, for whom it stands alone.

Its header is what model hubs read, written by their own library; the words below it follow Mitchell
et al., "Model Cards for Model Reporting" (2019).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from stillhouse.facts import ReleaseGateFacts
from stillhouse.judged import in_words
from stillhouse.models.described import public_name
from stillhouse.models.licence_terms import table as licence_terms
from stillhouse.release.dossier import adapts, begun_as, licence_of
from stillhouse.release.measured import Measured
from stillhouse.report.markdown import literal, markdown_table
from stillhouse.report.use import LIMITS, NOT_INTENDED, intended
from stillhouse.wording import MISSING, human_bytes, human_count, number

README = "README.md"
Manifest = Mapping[str, Any]

# What the Hub calls the licences of our table that it has a name for; all others are "other".
OF_THE_HUB = frozenset(
    [
        *("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "openrail", "gemma"),
        *("llama2", "llama3", "llama3.1", "llama3.2", "llama3.3", "llama4"),
        *("cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0"),
        *("bigscience-openrail-m", "bigcode-openrail-m"),
    ]
)
# The Hub's names of what kinds of task are for; all others are generation of text.
TASKS_OF_THE_HUB = {
    "classification": "text-classification",
    "question_answering": "question-answering",
    "summarization": "summarization",
}
# The Hub's names of figures that are called otherwise here.
METRICS_OF_THE_HUB = {"macro_f1": "f1", "field_f1": "f1"}


def card(manifest: Manifest, figures: Sequence[Measured] = (), *, masked: bool = True) -> str:
    """Markdown with the header that model hubs read; from the manifest and what was measured.
    `masked` where personal data was, in what it learned from."""
    model, teacher, licence = manifest["model"], manifest["teacher"], manifest["license"]
    name = public_name(teacher["model"], teacher["version"])
    return "\n".join(
        [
            f"---\n{_header(manifest, figures)}\n---",
            f"\n# {literal(manifest['student'])} {literal(manifest['release'])}\n",
            f"A model of {human_count(model['parameters'])} parameters in {model['bits']} bits "
            f"({human_bytes(model['bytes'])}), distilled for the project "
            f"{literal(manifest['project'])} from teacher version {literal(teacher['version'])} "
            f"({literal(name)}). {_began(manifest)}The model lies in `quantized/`.\n",
            "## Intended use\n",
            *(f"- {said}" for said in intended(masked=masked)),
            "\nNot for:\n",
            *(f"- {said}" for said in NOT_INTENDED),
            "",
            markdown_table(["Task", "Kind"], list(manifest["tasks"].items())),
            *_figures(figures),
            "\n## What it was held to\n",
            gates_table(
                [ReleaseGateFacts(**gate) for gate in manifest["gates"]], manifest["overrides"]
            ),
            "",
            *_overrides(manifest),
            *_data(manifest, masked=masked),
            *_made(manifest),
            "\n## Licence and duties\n",
            *(f"- {literal(duty)}" for duty in licence["duties"]),
            f"\nThe teacher's licence, {literal(licence['teacher'])}, was allowed by "
            f"`{licence['allowed_by']}` of the project file. {_joint(manifest)}This is no legal "
            "advice: verify at the primary source.\n",
            "## Limits\n",
            *(f"- {said}" for said in LIMITS),
            "\n## Proof\n",
            "`manifest.json` names every file with its SHA-256, and how all of it was made; "
            "`manifest.sig` is its Ed25519 signature, `release.pub` the public key. "
            "`stillhouse releases verify` checks both. `bom.cdx.json` is its bill of materials "
            "(CycloneDX 1.6): models, data and libraries, by digest, version and licence.\n",
        ]
    )


def _header(manifest: Manifest, figures: Sequence[Measured]) -> str:
    """YAML, as https://huggingface.co/docs/hub/model-cards describes it."""
    from huggingface_hub import EvalResult, ModelCardData

    teacher, dataset = manifest["teacher"], manifest["dataset"]
    name = f"{manifest['project']}-{dataset['digest'] or 'unknown'}"
    split = dataset["splits"].get("test")
    taught_by = public_name(teacher["model"], teacher["version"])
    results = [
        EvalResult(
            task_type=TASKS_OF_THE_HUB.get(found.kind, "text-generation"),
            task_name=found.task,
            dataset_type=name,
            dataset_name=f"{manifest['project']}, held-out texts",
            dataset_split="test",
            dataset_revision=split,
            metric_type=METRICS_OF_THE_HUB.get(found.metric, found.metric),
            metric_name=found.title,
            metric_value=round(found.value, 6),
        )
        for found in figures
    ]
    data = ModelCardData(
        **_licence(licence_of(manifest)),
        base_model=[base, taught_by] if (base := begun_as(manifest)) else taught_by,
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=["distillation", "stillhouse", *sorted(set(manifest["tasks"].values()))],
        datasets=[name],
        metrics=sorted({found.metric_type for found in results}) or None,
        model_name=f"{manifest['student']}-{manifest['release']}" if results else None,
        eval_results=results or None,
    )
    return str(data.to_yaml())


def _licence(name: str) -> dict[str, Any]:
    if name.lower() in OF_THE_HUB:
        return {"license": name.lower()}
    # A name there is of these characters alone.
    named = re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-")
    found, row = {"license": "other", "license_name": named}, licence_terms().get(name)
    return found | ({"license_link": row.source} if row else {})


def _began(manifest: Manifest) -> str:
    base = begun_as(manifest)
    return f"It began as {literal(base)}, not as layers of its teacher. " if base else ""


def _joint(manifest: Manifest) -> str:
    if (own := licence_of(manifest)) == manifest["license"]["teacher"]:
        return ""
    return f"The student is under {literal(own)}, as it began as another model. "


def _figures(figures: Sequence[Measured]) -> Iterator[str]:
    if not figures:
        return
    yield "\n## How good it is\n"
    yield "On held-out texts; in brackets the 95 % interval.\n"
    yield markdown_table(
        ["Task", "Texts", "Figure", "This model", "Teacher", "Baseline"],
        [
            [
                found.task,
                f"{found.n:,}",
                found.title,
                f"{found.value:.3f}"
                + (f" ({found.low:.2f}–{found.high:.2f})" if found.low is not None else ""),
                *(MISSING if x is None else f"{x:.3f}" for x in (found.teacher, found.baseline)),
            ]
            for found in figures
        ],
    )


def _data(manifest: Manifest, *, masked: bool) -> Iterator[str]:
    dataset = manifest["dataset"]
    how = (
        "masked as its project file says (`privacy`) before anything was learned from them"
        if masked
        else "of which nothing was masked: it may give away personal data that they hold"
    )
    yield "\n## Data\n"
    yield (
        f"Texts of the project {literal(manifest['project'])}, {how}; they are not part of the "
        "release. Each split is named by the digest of its content:\n"
    )
    rows = [["all", dataset["digest"]], *sorted(dataset["splits"].items())]
    yield markdown_table(["Split", "Digest"], rows)
    most = sum(count for _, count in manifest["settings"]["checkpoint"].get("canaries", ()))
    if most:
        yield (
            f"\nAt most {most} invented secrets (canaries) were planted among them, to see what it "
            "remembers: numbers and names that are nobody's."
        )


def _made(manifest: Manifest) -> Iterator[str]:
    settings = manifest["settings"]["checkpoint"]
    created, teacher = manifest["created"], manifest["teacher"]
    yield "\n## How it was made\n"
    yield (
        f"Made {created['time']} by {literal(created['by'])}, from teacher `{teacher['digest']}`, "
        f"{_adapted(manifest)}distilled `{manifest['model']['checkpoint']}`, quantized "
        f"`{manifest['model']['digest']}`.\n"
    )
    plain = {n: v for n, v in settings.items() if isinstance(v, str | int | float)}
    yield markdown_table(["Setting", "Value"], sorted(plain.items()))


def _adapted(manifest: Manifest) -> str:
    if not adapts(manifest):
        return "asked as it came, "
    return f"adapted `{manifest['teacher']['adapted']}`, "


def gates_table(gates: Sequence[ReleaseGateFacts], overridden: Collection[str] = ()) -> str:
    """In Markdown, a row a gate."""
    return markdown_table(
        ["Gate", "Verdict", "Figure", "Limit", "On", "Measured in"],
        [
            [
                gate.name,
                f"{in_words(gate.verdict)}{', overridden' if gate.name in overridden else ''}",
                number(gate.value),
                number(gate.limit),
                gate.task,
                gate.where,
            ]
            for gate in gates
        ],
    )


def _overrides(manifest: Manifest) -> Iterator[str]:
    if manifest["overrides"]:
        yield "## Overridden\n"
    for gate, found in manifest["overrides"].items():
        yield f"- {literal(gate)}, by {literal(found['by'])}: {literal(found['reason'])}"
        if gate == "stale":
            yield f"  ({literal(manifest['stale'])})"
