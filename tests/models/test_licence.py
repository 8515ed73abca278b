import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhouse.config.teacher import AcceptedTerms
from stillhouse.models.licence import (
    LicenceError,
    LicenceRecord,
    Statement,
    check_licence,
    normalise,
    stated_licences,
)
from stillhouse.models.licence_terms import Circumstances

APACHE_TEXT = """
                                 Apache License
                           Version 2.0, January 2004
                        http://www.apache.org/licenses/

   TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION
"""
MIT_TEXT = """Copyright (c) 2024 Somebody

Permission is hereby granted, free of charge, to any person
obtaining a copy of this software
"""
LLAMA_TEXT = "LLAMA 3.2 COMMUNITY LICENSE AGREEMENT\nLlama 3.2 Version Release Date: ...\n"


def check(
    declared: str,
    *stated: str,
    allow: tuple[str, ...] = ("Apache-2.0", "MIT"),
    accepted: tuple[Any, ...] = (),
    **circumstances: Any,
) -> LicenceRecord:
    return check_licence(
        "small-1",
        declared,
        [Statement(normalise(s), "README.md") for s in stated],
        allow=list(allow),
        accepted_terms=[AcceptedTerms.model_validate(x) for x in accepted],
        policy_source="stillhouse.yaml",
        circumstances=Circumstances(**circumstances),
    )


@pytest.mark.parametrize(
    ("spelling", "spdx"),
    [
        ("apache-2.0", "Apache-2.0"),
        ("Apache License 2.0", "Apache-2.0"),
        ("Apache License, Version 2.0", "Apache-2.0"),
        ("Apache Software License", "Apache-2.0"),
        ("Apache 2", "Apache-2.0"),
        ("mit", "MIT"),
        ("MIT License", "MIT"),
        ("The MIT License", "MIT"),
        ("BSD 3-Clause License", "BSD-3-Clause"),
        ("bsd-3-clause", "BSD-3-Clause"),
        ("BSD-2-Clause", "BSD-2-Clause"),
        ("CC BY-NC 4.0", "CC-BY-NC-4.0"),
        ("mit or apache-2.0", "MIT OR Apache-2.0"),
        ("Llama3.2", "llama3.2"),
        ("Llama 3.2 Community License", "llama3.2"),
        ("Gemma Terms of Use", "gemma"),
        ("Some  House License", "some house license"),
    ],
)
def test_one_name_for_each_licence(spelling: str, spdx: str) -> None:
    assert normalise(spelling) == spdx


@given(st.text(min_size=1, max_size=40))
def test_a_normal_form_stays_as_it_is(name: str) -> None:
    assert normalise(normalise(name)) == normalise(name)


def test_an_allowed_licence_passes_and_the_grounds_are_recorded() -> None:
    record = check("Apache License 2.0", "apache-2.0")
    assert record.licence == "Apache-2.0"
    assert record.allowed_by == "license_policy.allow"
    assert json.loads(json.dumps(asdict(record)))["stated"] == [
        {"licence": "Apache-2.0", "where": "README.md"}
    ]


def test_a_licence_that_is_not_allowed_is_refused_with_the_policy_line() -> None:
    with pytest.raises(LicenceError) as error:
        check("CC-BY-NC-4.0")
    for part in ("stillhouse.yaml: license_policy.allow", "small-1", "CC-BY-NC-4.0", "MIT"):
        assert part in error.value.message
    assert "license_policy.accepted_terms" in error.value.remedy


def test_what_the_model_states_must_be_what_the_project_says() -> None:
    with pytest.raises(LicenceError) as error:
        check("MIT", "cc-by-nc-4.0")
    assert "teachers[small-1].license says MIT" in error.value.message
    assert "CC-BY-NC-4.0 (README.md)" in error.value.message
    with pytest.raises(LicenceError):  # accepting the terms of one licence accepts no other
        check("MIT", "mit", "llama3.2", accepted=("llama3.2",))


@pytest.mark.parametrize("accepted", ["Llama3.2", "small-1"])
def test_terms_can_be_accepted_by_licence_or_for_one_teacher(accepted: str) -> None:
    record = check("llama3.2", "llama3.2", accepted=(accepted,))
    assert record.allowed_by == "license_policy.accepted_terms"
    with pytest.raises(LicenceError):
        check("llama3.1", "llama3.1", accepted=("llama3.2", "small-2"))


@pytest.mark.parametrize(
    ("expression", "passes"),
    [
        ("MIT OR GPL-3.0-only", True),
        ("GPL-3.0-only OR CC-BY-NC-4.0", False),
        ("MIT AND Apache-2.0", True),
        ("MIT AND GPL-3.0-only", False),
        ("MIT OR Apache-2.0 AND GPL-3.0-only", True),
        ("GPL-3.0-only OR Apache-2.0 AND GPL-3.0-only", False),
        ("(MIT OR GPL-3.0-only) AND Apache-2.0", False),
    ],
)
def test_alternatives_need_one_allowed_and_joint_licences_all(
    expression: str, passes: bool
) -> None:
    if passes:
        assert check(expression).allowed_by == "license_policy.allow"
    else:
        with pytest.raises(LicenceError):
            check(expression)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("README.md", "---\nlanguage: en\nlicense: apache-2.0\n---\n# A model\n", "Apache-2.0"),
        ("README.md", "---\nlicense: other\nlicense_name: Llama3.2\n---\n", "llama3.2"),
        ("config.json", '{"model_type": "llama", "license": "MIT"}', "MIT"),
        ("LICENSE", APACHE_TEXT, "Apache-2.0"),
        ("LICENSE.txt", MIT_TEXT, "MIT"),
        ("LICENSE", LLAMA_TEXT, "llama3.2"),
    ],
)
def test_where_a_model_states_its_licence(
    tmp_path: Path, name: str, content: str, expected: str
) -> None:
    (tmp_path / name).write_text(content)
    # Weights that can't be opened: nothing but what states a licence may be read.
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 64)
    assert stated_licences(tmp_path) == [Statement(expected, name)]


@pytest.mark.parametrize(
    "content", ["# No front matter\n---\nlicense: mit\n---\n", "---\n: [\n---\n"]
)
def test_a_card_without_a_licence_states_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "README.md").write_text(content)
    assert stated_licences(tmp_path) == []


def test_the_licence_of_a_package_counts_only_when_the_weights_state_none(tmp_path: Path) -> None:
    info = tmp_path / "tiny-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: tiny\nLicense-Expression: MIT\n\nLicense: GPL\n")
    (info / "LICENSE").write_text(APACHE_TEXT)
    assert stated_licences(tmp_path) == [Statement("MIT", "tiny-1.dist-info/METADATA")]
    (tmp_path / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    assert stated_licences(tmp_path) == [Statement("CC-BY-NC-4.0", "README.md")]


def test_a_gguf_file_states_its_licence_in_its_header(smollm2_wheel: Path) -> None:
    file = next(smollm2_wheel.rglob("*.gguf"))
    expected = [Statement("Apache-2.0", file.name)]
    assert stated_licences(smollm2_wheel) == expected == stated_licences(file)
