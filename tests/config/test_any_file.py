"""Whatever stands in a project file: a project, or an error that names file, field and remedy."""

from __future__ import annotations

import copy
import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stillhouse.config.base import ConfigError
from stillhouse.config.project import Project, load_project
from tests.made import MINIMAL

# Every section, with a value at each of its fields that is right or nearly so.
WHOLE = {
    **yaml.safe_load(MINIMAL),
    "data_dir": "var",
    "ocr": {"enabled": True, "min_confidence": 0.7, "dpi": 200},
    "passwords": [{"env": "NAME"}, {"file": "path"}],
    "programs": {"libreoffice": "soffice"},
    "cleansing": {"min_documents": 5, "min_share": 0.1},
    "privacy": {
        "languages": ["en"],
        "operator": {"default": "mask", "PERSON": "surrogate"},
        "thresholds": {"PERSON": 0.5},
        "allow": ["Acme*"],
        "context": {"ACCOUNT_NUMBER": ["Konto"]},
        "patterns": {"CASE": ["K-[0-9]+"]},
        "markings": {"Grade 7": "restricted"},
        "confidentiality_rules": [{"source": "tickets", "level": "public"}],
    },
    "dedup": {"threshold": 0.8, "keep": "newest", "memory_limit": "2GB"},
    "splits": {"validation": 0.1, "test": 0.1, "seed": 1, "by": "random"},
    "review": {"pairs": 10},
    "license_policy": {"allow": ["MIT"], "accepted_terms": []},
    "soft_labels": {"encoding": "labels"},
    "gates": {"max_ece": 0.1, "tasks": {"routing": {"max_score_drop": 0.1}}},
    "caches": {"days": 3, "gigabytes": 1},
}
WORDS = ["tickets", "routing", "labels", "name", "kind", "a,b", "none", "\0", "${x}", "é" * 300]
PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.sampled_from(WORDS),
    st.text(st.characters(blacklist_categories=["Cs"]), max_size=9),
    st.dates(datetime.date(1, 1, 1)),
    st.datetimes(),
    st.binary(max_size=4),
)
KEYS = st.one_of(
    st.sampled_from(WORDS), st.text(max_size=3), st.integers(), st.none(), st.booleans()
)
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [path, *(p for key, inner in items for p in places(inner, (*path, key)))]


PLACES = places(WHOLE)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any") / "stillhouse.yaml"


def read(file: Path, content: bytes) -> ConfigError | None:
    file.write_bytes(content)
    try:
        assert isinstance(load_project(file), Project)
    except ConfigError as error:
        assert str(file) in error.message
        assert error.remedy.endswith(".")
        return error
    return None


def test_the_whole_file_is_right(file: Path) -> None:
    assert read(file, yaml.safe_dump(WHOLE).encode()) is None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(PLACES), KEYS, VALUES), min_size=1, max_size=3))
def test_any_value_at_any_field(
    file: Path, changes: list[tuple[tuple[Any, ...], Any, Any]]
) -> None:
    values: Any = copy.deepcopy(WHOLE)
    for path, key, value in changes:
        around, inner = None, values
        for part in path:
            try:
                around, inner = inner, inner[part]
            except (KeyError, IndexError, TypeError):  # another change took it away
                break
        else:
            if isinstance(inner, dict) and isinstance(key, str):
                inner[key] = value
            elif around is not None:
                around[path[-1]] = value
            else:
                values = value
    error = read(file, yaml.safe_dump(values, allow_unicode=True).encode())
    if error and isinstance(values, dict):
        assert all(
            line.startswith(f"{file}:") for line in error.message.splitlines() if line[:1] == "/"
        )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.one_of(
        st.binary(max_size=40),
        st.text("ab:-[]{}&*!<>|?#'\"%@, \n\t0\u2028", max_size=40).map(str.encode),
        st.tuples(st.integers(0, len(MINIMAL)), st.binary(max_size=5)).map(
            lambda at: MINIMAL.encode()[: at[0]] + at[1] + MINIMAL.encode()[at[0] :]
        ),
    )
)
def test_any_bytes(file: Path, content: bytes) -> None:
    read(file, content)


def test_a_value_that_is_none_is_told_with_its_line_and_field(file: Path) -> None:
    error = read(file, f"{MINIMAL}review: {{pairs: 2024-13-45}}\n".encode())
    assert error is not None
    assert error.message == f"{file}:10: review.pairs: there is no such value"


LAUGHS = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))


@pytest.mark.parametrize(
    "content",
    [
        b"name: \xff\xfe",
        "name: demo".encode("utf-16"),
        b"a: &a [*a]",
        f"a0: &a0 x\n{LAUGHS}".encode(),
        b"[" * 100_000,
        b"a: " * 5_000,
        b"a: " + b"1" * 5_000,
        b"a: 2024-13-45",
        b"a: 2024-01-01T99:99:99",
        *(b"a: !!bool x", b"a: !!float x", b"a: !!timestamp x", b"a: !!null x", b"!!set [a]"),
        b"a: !!binary x",
        b"a: !!int x",
        b"a: !!python/object:os.system x",
        b"? [a]\n: b",
        b"? {a: b}\n: c",
        b"<<: 3",
        b"a: 1\n---\nb: 2",
        b"1: 2\ntrue: 3\nnull: 4\n1.5: 6\n2024-01-01: 7",
    ],
)
def test_what_breaks_readers_of_yaml(file: Path, content: bytes) -> None:
    assert read(file, content) is not None
