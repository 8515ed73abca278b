from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from stillhouse.lm.grammar import Grammars, token_bytes
from stillhouse.lm.prompts import Encoder
from stillhouse.models.loading import load_tokenizer
from stillhouse.student.vocabulary import prune_tokenizer
from stillhouse.tasks.classification import class_token
from tests.student.test_vocabulary import sentencepiece_like

FEW = settings(max_examples=40, suppress_health_check=list(HealthCheck))
CLASS = class_token("routing", "billing")
ANYTHING = "start: /(?s:.*)/\n"


@cache
def tokenizers(folder: Path) -> dict[str, PreTrainedTokenizerBase]:
    """The real one with a class token, as an adapted teacher has it; the same, pruned; one that
    falls back on bytes."""
    whole = load_tokenizer(folder)
    whole.add_tokens([CLASS])
    smaller = prune_tokenizer(whole, whole("The keyboard was delivered on 3 May.").input_ids)
    return {"whole": whole, "pruned": smaller.tokenizer, "fallback": sentencepiece_like()}


@cache
def grammars(folder: Path, which: str) -> tuple[Grammars, Encoder, int]:
    """Grammars, what cuts texts into tokens, and the end token."""
    tokenizer = tokenizers(folder)[which]
    end = tokenizer.eos_token_id
    return Grammars(tokenizer, len(tokenizer), [end]), Encoder(tokenizer, 0), end


@cache
def written(folder: Path, which: str) -> list[bytes]:
    tokenizer = tokenizers(folder)[which]
    return token_bytes(tokenizer, len(tokenizer))


WHICH = pytest.mark.parametrize("which", ["whole", "pruned", "fallback"])


@WHICH
@FEW
@given(st.text(st.characters(codec="utf-8", max_codepoint=0x3FFFF), max_size=40))
def test_tokens_write_the_bytes_of_the_text_they_are_cut_from(
    smollm2_folder: Path, which: str, text: str
) -> None:
    (ids,) = grammars(smollm2_folder, which)[1].texts([text])
    found = b"".join(written(smollm2_folder, which)[i] for i in ids)
    if which == "fallback" and text:  # begins every text with a space, which decoding takes away
        found = found.removeprefix(b" ")
    rare = {chr(c) for c in range(32)} | {"\x7f"}  # some of these bytes are no token of SmolLM2
    if not rare & set(text):
        assert found.decode() == text


@WHICH
def test_no_added_token_is_ever_part_of_an_answer(smollm2_folder: Path, which: str) -> None:
    tokenizer = tokenizers(smollm2_folder)[which]
    compiled, encoder, end = grammars(smollm2_folder, which)
    constraint = compiled.compile(ANYTHING)
    marks = set(tokenizer.all_special_ids) | {
        index for token, index in tokenizer.get_added_vocab().items() if "<0x" not in token
    }
    assert len(marks) >= 3
    allowed = constraint.allowed()
    assert [i for i in sorted(marks) if allowed[i]] == [end]
    assert allowed.sum() > 150
    for mark in marks:
        assert not constraint.accepts([mark])
        assert constraint.valid([mark]) == 0
    # What spells a mark is text like any other.
    (spelled,) = encoder.texts(["<|im_end|></s>" + CLASS])
    assert constraint.accepts(spelled)
    assert not marks & set(spelled)


def test_a_vocabulary_beyond_the_tokenizer_s_is_never_written(smollm2_folder: Path) -> None:
    tokenizer = tokenizers(smollm2_folder)["pruned"]
    end = tokenizer.eos_token_id
    wider = Grammars(tokenizer, len(tokenizer) + 70, [end]).compile(ANYTHING).allowed()
    assert wider.shape == (len(tokenizer) + 70,)
    assert not wider[len(tokenizer) :].any()


@WHICH
def test_an_answer_is_followed_token_by_token(smollm2_folder: Path, which: str) -> None:
    compiled, encoder, end = grammars(smollm2_folder, which)
    constraint = compiled.compile('start: " "? "[" WORD ("," WORD)* "]"\nWORD: /[a-z]+/\n')
    (ids,) = encoder.texts(["[the,keyboard]"])
    for place, token in enumerate(ids):
        assert not constraint.may_end
        assert not constraint.must_end
        allowed = constraint.allowed()
        assert allowed[token]
        assert not allowed[end]
        # What is asked of whole answers changes nothing here.
        assert constraint.accepts(ids)
        assert not constraint.accepts(ids[:-1])
        assert not constraint.accepts([*ids, ids[-1]])
        assert constraint.valid(ids[:place]) == place
        constraint.advance(token)
    assert constraint.may_end
    assert constraint.must_end
    assert constraint.allowed().nonzero()[0].tolist() == [end]
    assert constraint.accepts(ids)


def test_the_tokens_that_break_a_grammar_are_found(smollm2_folder: Path) -> None:
    compiled, encoder, _ = grammars(smollm2_folder, "whole")
    constraint = compiled.compile("start: /[a-z ]+/\n")
    (fine,), (broken,) = encoder.texts(["the keyboard was"]), encoder.texts([" Delivered"])
    assert constraint.valid(fine) == len(fine)
    assert constraint.valid(fine + broken) == len(fine)
    assert not constraint.accepts(fine + broken)


def test_a_token_that_is_not_allowed_is_refused(smollm2_folder: Path) -> None:
    compiled, encoder, _ = grammars(smollm2_folder, "whole")
    constraint = compiled.compile("start: /[a-z]+/\n")
    ((number, *_),) = encoder.texts(["7"])
    with pytest.raises(ValueError, match="not allowed"):
        constraint.advance(number)


@WHICH
def test_a_token_is_taken_where_it_is_allowed_and_another_changes_nothing(
    smollm2_folder: Path, which: str
) -> None:
    compiled, encoder, _ = grammars(smollm2_folder, which)
    constraint = compiled.compile("start: /[a-z ]+/\n")
    ids, numbers = encoder.texts(["the keyboard was", "7"])
    assert not constraint.takes(None)
    for token in ids:
        assert not constraint.takes(numbers[-1])
        assert constraint.allowed()[token] and constraint.takes(token)
    assert constraint.takes(None)


def test_any_spelling_of_a_text_is_accepted(smollm2_folder: Path) -> None:
    """Also where there is but one text to write: what is forced is the text, not its tokens."""
    compiled, encoder, _ = grammars(smollm2_folder, "whole")
    constraint = compiled.compile('start: "keyboard"\n')
    ids = [encoder.texts([letter])[0][0] for letter in "keyboard"]
    assert constraint.accepts(ids)
    for token in ids:
        assert constraint.allowed()[token]
        constraint.advance(token)
    assert constraint.must_end


def test_several_tokens_may_end_an_answer(smollm2_folder: Path) -> None:
    tokenizer = tokenizers(smollm2_folder)["whole"]
    ends = sorted(tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"]))
    constraint = Grammars(tokenizer, len(tokenizer), ends).compile('start: "a"?\n')
    assert constraint.allowed()[ends].all()
    assert constraint.may_end


def test_a_grammar_that_is_none_is_told_without_the_texts_in_it(smollm2_folder: Path) -> None:
    compiled, _, _ = grammars(smollm2_folder, "whole")
    text = json.dumps({"substring_chunks": ["a secret"]})
    for grammar in (
        f"start: TEXT other\nTEXT: %regex {text}\n",
        f'start: TEXT\nTEXT: %regex {text} "\n',
        f"start: TEXT\nTEXT: %regex {text} )\n",
    ):
        with pytest.raises(ValueError, match="grammar: ") as told:
            compiled.compile(grammar)
        assert "secret" not in str(told.value)
        assert len(str(told.value)) > 12


def test_bytes_that_no_token_writes_leave_no_way_on() -> None:
    symbols = [s for s in pre_tokenizers.ByteLevel.alphabet() if s != "ñ"]  # 0xF1: rare planes
    backend = Tokenizer(models.BPE({symbol: i for i, symbol in enumerate(symbols)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="</s>")
    compiled = Grammars(tokenizer, len(tokenizer), [tokenizer.eos_token_id])
    constraint = compiled.compile('start: "a" "\U00040000"\n')
    constraint.advance(symbols.index("a"))
    assert not constraint.allowed().any()
    assert not constraint.may_end
