"""The model card, README.md: what a release is, for whom it stands alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import yaml

from stillhouse.facts import ReleaseGateFacts
from stillhouse.report.markdown import literal, markdown_table
from stillhouse.wording import human_bytes, human_count, number

README = "README.md"


def card(manifest: Mapping[str, Any]) -> str:
    """Markdown with the header that model hubs read; from the manifest alone."""
    model, teacher, licence = manifest["model"], manifest["teacher"], manifest["license"]
    header = {
        "license": str(licence.get("student", licence["teacher"])).lower(),
        "base_model": teacher["model"],
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["distillation", "stillhouse", *sorted(set(manifest["tasks"].values()))],
    }
    overrides = manifest["overrides"]
    return "\n".join(
        [
            f"---\n{yaml.safe_dump(header, sort_keys=False, allow_unicode=True)}---",
            f"\n# {literal(manifest['student'])} {literal(manifest['release'])}\n",
            f"A model of {human_count(model['parameters'])} parameters in {model['bits']} bits "
            f"({human_bytes(model['bytes'])}), distilled for the project "
            f"{literal(manifest['project'])} from teacher version {literal(teacher['version'])}.\n",
            markdown_table(["Task", "Kind"], list(manifest["tasks"].items())),
            f"\nMade {manifest['created']['time']} by {literal(manifest['created']['by'])} from "
            f"dataset `{manifest['dataset']['digest']}`, teacher `{teacher['digest']}` "
            f"({literal(teacher['model'])}). The model lies in `quantized/`.\n",
            "## What it was held to\n",
            gates_table([ReleaseGateFacts(**gate) for gate in manifest["gates"]], overrides),
            "\nWhat was not measured is not known to be good.\n",
            *_overrides(manifest),
            "## Licence and duties\n",
            *(f"- {literal(duty)}" for duty in licence["duties"]),
            f"\nThe teacher's licence, {literal(licence['teacher'])}, was allowed by "
            f"`{licence['allowed_by']}` of the project file. This is no legal advice: verify at "
            "the primary source.\n",
            "## Limits\n",
            "It knows the tasks above and was measured on texts like those it learned from; on "
            "others its answers, and how sure it is, mean little. Personal data was masked before "
            "it learned, so it expects masked texts.\n",
            "## Proof\n",
            "`manifest.json` names every file with its SHA-256, and how all of it was made; "
            "`manifest.sig` is its Ed25519 signature, `release.pub` the public key. "
            "`stillhouse releases verify` checks both.\n",
        ]
    )


def gates_table(gates: Sequence[ReleaseGateFacts], overridden: Collection[str] = ()) -> str:
    """In Markdown, a row a gate."""
    return markdown_table(
        ["Gate", "Verdict", "Figure", "Limit", "On", "Measured in"],
        [
            [
                gate.name,
                f"{gate.verdict}, overridden" if gate.name in overridden else gate.verdict,
                number(gate.value),
                number(gate.limit),
                gate.task,
                gate.where,
            ]
            for gate in gates
        ],
    )


def _overrides(manifest: Mapping[str, Any]) -> Iterator[str]:
    if manifest["overrides"]:
        yield "## Overridden\n"
    for gate, found in manifest["overrides"].items():
        yield f"- {literal(gate)}, by {literal(found['by'])}: {literal(found['reason'])}"
        if gate == "stale":
            yield f"  ({literal(manifest['stale'])})"
    if manifest["overrides"]:
        yield ""
