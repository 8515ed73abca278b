"""What is asked: texts of production where there are enough, and prompts of a file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from stillhouse.config.latency import Latency
from stillhouse.errors import UserError
from stillhouse.load.target import target_of
from stillhouse.load.texts import ENOUGH, TEST, TRAFFIC, drawn, prompts_in, prompts_of
from stillhouse.storage.tables import write_table


def test_texts_are_those_of_production_if_there_are_enough(
    routing_dataset: Path, routing: Any, tmp_path: Path
) -> None:
    def traffic(count: int, task: str = "routing") -> Path:
        rows = {"task": [task] * count, "input": [f"request {n}" for n in range(count)]}
        file = tmp_path / f"{task}{count}.parquet"
        write_table(file, pa.table(rows))
        return file

    settings = Latency(texts=60)
    texts, where = drawn(traffic(ENOUGH + 40), routing_dataset, [routing], settings)
    assert where == TRAFFIC and len({text for _, text in texts}) == 60
    assert all(text.startswith("request ") for _, text in texts)
    assert texts == drawn(traffic(ENOUGH + 40), routing_dataset, [routing], settings)[0]
    other = settings.model_copy(update={"seed": 8})
    assert texts != drawn(traffic(ENOUGH + 40), routing_dataset, [routing], other)[0]
    for few in (traffic(ENOUGH - 1), traffic(ENOUGH + 40, "others"), tmp_path / "none", None):
        texts, where = drawn(few, routing_dataset, [routing], settings)
        assert where == TEST and Counter(task for task, _ in texts) == {"routing": 5}
    # As a client of the student's server asks: the server makes the task's own prompt of it.
    prompt = prompts_of("router", texts, 12)[0]
    assert prompt.body["model"] == "router:routing" and prompt.body["max_tokens"] == 12
    assert prompt.body["messages"] == [{"role": "user", "content": texts[0][1]}]


def test_an_empty_test_split_is_told(routing_pairs: Any, write_dataset: Any, routing: Any,
                                     tmp_path: Path) -> None:  # fmt: skip
    learned = [pair for pair in routing_pairs if pair["split"] == "train"]
    dataset = write_dataset(tmp_path / "d.parquet", learned)
    with pytest.raises(UserError, match="no text to ask with"):
        drawn(None, dataset, [routing], Latency())


def test_a_file_of_prompts_says_what_is_asked(tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"text": "a"}\n\n{"prompt": "b"}\n{"messages": [{"role": "user"}]}\n')
    one, two, three = prompts_in(file, "m", None)
    assert one.path == three.path == "/chat/completions" and two.path == "/completions"
    assert one.body == {"model": "m", "messages": [{"role": "user", "content": "a"}]}
    assert prompts_in(file, "m", 9)[1].body == {"model": "m", "max_tokens": 9, "prompt": "b"}
    for wrong in ('{"text": "a"}\n{"txt": "secret"}', '{"text": "a"}\nsecret', '"a"\n"secret"'):
        file.write_text(wrong)
        with pytest.raises(UserError, match=r"line [12]: there is no prompt") as told:
            prompts_in(file, "m", None)
        assert "secret" not in str(told.value)
    with pytest.raises(UserError, match="can't be read"):
        prompts_in(tmp_path / "none.jsonl", "m", None)


def test_only_internal_addresses_are_asked() -> None:
    assert target_of("http://127.0.0.1:8000").base == "http://127.0.0.1:8000/v1"
    target = target_of("http://localhost:8000/api/v1/", key="k")
    assert target.base.endswith(":8000/api/v1") and target.headers["Authorization"] == "Bearer k"
    assert "Bearer" not in repr(target)  # as errors and logs would show it
    with pytest.raises(UserError, match="no address of an internal network"):
        target_of("http://93.184.216.34/v1")
    with pytest.raises(UserError, match="no http"):
        target_of("ftp://127.0.0.1/v1")
