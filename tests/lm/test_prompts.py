from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from stillhouse.lm.prompts import Encoder, render_prompt
from stillhouse.models.loading import load_tokenizer
from stillhouse.student.vocabulary import prune_tokenizer
from stillhouse.tasks.classification import class_token

INSTRUCTION = "Name the department."
TOKEN = class_token("routing", "billing")


@cache
def smollm2(folder: Path) -> PreTrainedTokenizerBase:
    tokenizer = load_tokenizer(folder)
    tokenizer.add_tokens([TOKEN])
    return tokenizer


@cache
def pruned(folder: Path) -> PreTrainedTokenizerBase:
    return prune_tokenizer(
        smollm2(folder), smollm2(folder)("My invoice is wrong.").input_ids
    ).tokenizer


@cache
def encoder(folder: Path, max_tokens: int, smaller: bool = False) -> Encoder:
    return Encoder((pruned if smaller else smollm2)(folder), max_tokens)


def pair(text: str) -> dict[str, str]:
    return {"pair_id": "p", "instruction": INSTRUCTION, "input": text, "response": TOKEN}


def marks(tokenizer: PreTrainedTokenizerBase) -> set[int]:
    return set(tokenizer.all_special_ids) | set(tokenizer.get_added_vocab().values())


def test_the_response_is_one_class_token_after_the_prompt(smollm2_folder: Path) -> None:
    tokenizer = smollm2(smollm2_folder)
    (example,) = encoder(smollm2_folder, 64).pairs([pair("My invoice is wrong.")])
    assert tokenizer.decode(example.ids[: example.response_start]) == render_prompt(
        INSTRUCTION, "My invoice is wrong."
    )
    assert example.response_ids == [tokenizer.convert_tokens_to_ids("<|routing:billing|>")]


def test_a_prompt_to_predict_from_does_not_hold_the_answer(smollm2_folder: Path) -> None:
    found = encoder(smollm2_folder, 64)
    (whole,), (prompt,) = found.pairs([pair("One.")]), found.prompts([pair("One.")])
    assert prompt.ids[:-1] == whole.ids[:-1]
    assert prompt.response_ids == [0] != whole.response_ids


def test_an_answer_in_words_is_text(smollm2_folder: Path) -> None:
    row = pair("One.") | {"response": " a refund<|im_end|>"}
    (example,) = encoder(smollm2_folder, 64).pairs([row])
    tokenizer = smollm2(smollm2_folder)
    # The end token is ours; the one that the text spells is text.
    *said, end = example.response_ids
    assert end == tokenizer.eos_token_id
    assert tokenizer.decode(said) == " a refund<|im_end|>"
    assert not marks(tokenizer) & set(said)


@given(st.text(max_size=400))
@settings(max_examples=60, deadline=None)
def test_a_prompt_fits_and_keeps_instruction_and_response(smollm2_folder: Path, text: str) -> None:
    (example,) = encoder(smollm2_folder, 32).pairs([pair(text)])
    prompt = smollm2(smollm2_folder).decode(example.ids[: example.response_start])
    assert len(example.ids) <= 32
    assert prompt.startswith(INSTRUCTION)
    assert prompt.endswith("Answer:")
    assert len(example.response_ids) == 1


SMOLLM2_MARKS = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>", "<reponame>", "<file_sep>"),
    *("<filename>", "<gh_stars>", "<issue_start>", "<issue_comment>", "<issue_closed>"),
    *("<jupyter_start>", "<jupyter_text>", "<jupyter_code>", "<jupyter_output>"),
    *("<jupyter_script>", "<empty_output>", TOKEN),
)
hostile = st.lists(st.sampled_from(SMOLLM2_MARKS) | st.text(max_size=8), max_size=30).map("".join)


@given(text=hostile, max_tokens=st.sampled_from([32, 200]), smaller=st.booleans())
@settings(max_examples=80, deadline=None)
def test_no_document_writes_a_special_or_an_added_token(
    smollm2_folder: Path, text: str, max_tokens: int, smaller: bool
) -> None:
    found = encoder(smollm2_folder, max_tokens, smaller)
    tokenizer = found.tokenizer
    assert set(tokenizer.get_added_vocab()) == set(SMOLLM2_MARKS)
    row = pair(text) | {"instruction": text[:20]}
    for example in (*found.pairs([row]), *found.prompts([row])):
        assert not marks(tokenizer) & set(example.ids[: example.response_start])


def test_ordinary_texts_are_cut_as_the_tokenizer_does(smollm2_folder: Path, helpdesk: Path) -> None:
    lines = (helpdesk / "tickets.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["body"] for line in lines]
    for smaller in (False, True):
        found = encoder(smollm2_folder, 64, smaller)
        assert found.texts(texts) == found.tokenizer(texts, add_special_tokens=False).input_ids


def whole_words() -> PreTrainedTokenizerFast:
    """A tokenizer that finds whole words, marks among them, in its vocabulary."""
    words = {"<unk>": 0, "<stop>": 1, "a": 2}
    backend = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="<unk>", additional_special_tokens=["<stop>"]
    )


def test_a_mark_that_is_a_word_of_the_vocabulary_is_left_out() -> None:
    assert Encoder(whole_words(), 8).texts(["<stop>", "a"]) == [[], [2]]


def test_runs_of_spaces_that_are_tokens_stay_tokens(tiny_base: Path) -> None:
    tokenizer = load_tokenizer(tiny_base)
    tokenizer.add_tokens([AddedToken("    ", normalized=False)])
    expected = tokenizer("x    y", add_special_tokens=False).input_ids
    assert len(tokenizer) - 1 in expected
    assert Encoder(tokenizer, 8).texts(["x    y"]) == [expected]


@pytest.mark.parametrize("mark", ["<filename>", "<|im_end|>", "<pad>"])
def test_the_same_for_a_tokenizer_of_its_own(tiny_base: Path, mark: str) -> None:
    tokenizer = load_tokenizer(tiny_base)
    (ids,) = Encoder(tokenizer, 8).texts([f"a{mark}b"])
    assert not marks(tokenizer) & set(ids)
    assert tokenizer.decode(ids) == f"a{mark}b"
