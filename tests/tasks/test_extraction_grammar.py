"""What the writer writes, the grammar accepts and the reader reads, whatever the text says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from transformers import PreTrainedModel

from stillhouse.config.dataset import AnswerField
from stillhouse.lm.generation import generate
from stillhouse.lm.grammar import Constraint, Grammars
from stillhouse.lm.prompts import Encoder
from stillhouse.models.loading import load_model, load_tokenizer
from stillhouse.student.vocabulary import prune_tokenizer
from stillhouse.tasks.extraction_grammar import canonical, grammar_of, parsed, passage_grammar
from stillhouse.tasks.numerals import numbers_in

MANY = settings(max_examples=100, suppress_health_check=list(HealthCheck))
FEW = settings(MANY, max_examples=25)


def field(**settings: Any) -> AnswerField:
    return AnswerField.model_validate(settings)


ORDER = {
    "product": field(),
    "quantity": field(type="integer"),
    "price": field(type="number", optional=True),
    "urgent": field(type="boolean", optional=True),
    "colour": field(values=["red", "blue"], optional=True),
    "parts": field(list=True, optional=True),
    "sizes": field(type="integer", list=True, optional=True),
    "remark": field(grounded=False, optional=True),
}
NONE = "no answer"
TEXT = 'Dear all,\n\nplease send 3 of the "XL-200" (steel) to C:\\temp, Zoë said.\tThanks 😀'


@cache
def tools(folder: Path, pruned: bool) -> tuple[Grammars, Encoder]:
    tokenizer = load_tokenizer(folder)
    if pruned:
        tokenizer = prune_tokenizer(tokenizer, tokenizer("Please send three.").input_ids).tokenizer
    end = tokenizer.eos_token_id
    return Grammars(tokenizer, len(tokenizer), [end]), Encoder(tokenizer, 0)


@pytest.fixture(scope="module", params=[False, True], ids=["whole", "pruned"])
def accepts(smollm2_folder: Path, request: pytest.FixtureRequest) -> Callable[[str, str], bool]:
    grammars, encoder = tools(smollm2_folder, request.param)

    def found(grammar: str, answer: str) -> bool:
        return grammars.compile(grammar).accepts(encoder.texts([answer])[0])

    return found


def test_an_answer_is_written_in_one_way() -> None:
    answer = {
        "quantity": "3", "product": " XL-200 ", "price": 2.50, "urgent": "True", "colour": None,
        "sizes": ("40", 41.0), "parts": ["steel"], "remark": "  ",
    }  # fmt: skip
    written = canonical(answer, ORDER)
    assert written == (
        '{"product":"XL-200","quantity":3,"price":2.5,"urgent":true,"parts":"steel","sizes":[40,41]}'
    )
    assert parsed(written, ORDER) == {
        "product": "XL-200", "quantity": 3, "price": 2.5, "urgent": True, "parts": ["steel"],
        "sizes": [40, 41],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"product": None}, "'product': missing"),
        ({"product": " \n"}, "'product': missing"),
        ({"quantity": []}, "'quantity': missing"),
        ({"weight": 3}, "'weight': no field"),
        ({"quantity": "secret"}, "'quantity': not of type integer"),
        ({"quantity": 2.5}, "'quantity': not of type integer"),
        ({"quantity": True}, "'quantity': not of type integer"),
        ({"quantity": "1e3"}, None),
        ({"quantity": " 7 "}, None),
        ({"quantity": "007"}, "'quantity': not of type integer"),
        ({"quantity": "[" * 100_000}, "'quantity': not of type integer"),
        ({"quantity": 10**18}, "'quantity': too large"),
        ({"quantity": [1, 2]}, "'quantity': 2 values"),
        ({"price": float("nan")}, "'price': not of type number"),
        ({"price": 10**400}, "'price': "),
        ({"price": 1e150}, "'price': too large"),
        ({"urgent": "maybe"}, "'urgent': not of type boolean"),
        ({"urgent": 1}, "'urgent': not of type boolean"),
        ({"colour": "secret"}, "'colour': none of its `values`"),
        ({"colour": "Red"}, "'colour': none of its `values`"),
        ({"product": {"name": "secret"}}, "'product': not of type string"),
        ({"parts": ["steel", {"secret": 1}]}, "'parts': not of type string"),
        ({"parts": ["secret"] * 65}, "'parts': 65 values"),
        ({"remark": "secret " * 200}, "'remark': over 1000 characters"),
    ],
)
def test_what_is_wrong_is_told_by_field_and_never_by_value(
    change: dict[str, Any], told: str | None
) -> None:
    answer = {"product": "XL-200", "quantity": 3, **change}
    if told is None:
        assert parsed(canonical(answer, ORDER), ORDER)
        return
    with pytest.raises(ValueError, match=r"^'") as error:
        canonical(answer, ORDER)
    assert told in str(error.value)
    assert "secret" not in str(error.value)


def test_grounded_numbers_are_those_of_the_text(accepts: Callable[[str, str], bool]) -> None:
    fields = {
        "pieces": field(type="integer", grounded=True, optional=True, list=True),
        "price": field(type="number", grounded=True, optional=True),
        "weight": field(type="number", optional=True),
    }
    here = grammar_of(fields, "SO-1558: 30 of the Esk 50, at 1,299.50 each")
    assert accepts(here, '{"pieces":[30,50,1558],"price":1299.5,"weight":7}')
    assert accepts(here, '{"pieces":30,"price":30}')
    for other in ['{"pieces":3}', '{"pieces":299999}', '{"price":31}', '{"price":-30}']:
        assert not accepts(here, other)
        assert accepts(grammar_of(fields, None), other)
    assert not accepts(here, '{"pieces":1299.5}')
    # Without a number in the text, only what need not stand there is said.
    nowhere = grammar_of(fields, "thirty of them")
    assert accepts(nowhere, '{"weight":7}')
    assert not accepts(nowhere, '{"pieces":30}')


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", '"XL-200"', "null", "{}", '{"product":"a"}',
        '{"product":"a","quantity":"b"}',
        '{"product":"a","quantity":NaN}', '{"product":"a","quantity":1,"quantity":2}',
        '{"product":"a","quantity":1} and more', '{"product":"a","quantity":1,"other":1}',
        '{"product":"a","quantity":1,"colour":"green"}', '{"product":["a","b"],"quantity":1}',
        '{"product":"a","quantity":1e999}', "[" * 100_000,
        '{"product":"a","quantity":' + "1" * 9_999,
        '{"product":"a","quantity":' + "1" * 9_999 + "}",
    ],
)  # fmt: skip
def test_what_is_no_answer_of_the_schema_is_none(text: str) -> None:
    assert parsed(text, ORDER) is None


def test_an_answer_is_read_in_any_order_and_spacing() -> None:
    text = ' { "quantity" : 3 , "remark": null, "parts": [], "product": "XL-200" } \n'
    assert parsed(text, ORDER) == {"product": "XL-200", "quantity": 3}


@pytest.mark.parametrize(
    ("answer", "accepted"),
    [
        ('{"product":"XL-200","quantity":3}', True),
        (' {"product":"XL-200","quantity":3}', True),  # as Llama 2's tokenizer begins
        ('{"product":"\\"XL-200\\" (steel) to C:\\\\temp","quantity":3}', True),
        ('{"product":"all,\\n\\nplease","quantity":3}', True),
        ('{"product":"Zoë said.\\tThanks 😀","quantity":3,"urgent":false}', True),
        ('{"product":"Zo\\u00eb","quantity":3}', False),  # é is written as it is
        ('{"product":"XL-200","quantity":3,"parts":["steel","3"]}', True),
        ('{"product":"XL-200","quantity":3,"parts":["steel"]}', False),  # one stands bare
        ('{"product":"XL-200","quantity":3,"parts":[]}', False),
        ('{"product":"XL-200","quantity":3,"colour":"red"}', True),
        ('{"product":"XL-200","quantity":3,"colour":"steel"}', False),
        ('{"product":"XL-200","quantity":3,"remark":"not in \\"it\\""}', True),
        ('{"product":"XL-200","quantity":3,"remark":""}', False),
        ('{"product":"XL-200","quantity":3,"remark":" "}', False),
        ('{"product":"XL-200","quantity":3,"remark":"\\n"}', False),
        ('{"product":"","quantity":3}', False),
        ('{"product":" ","quantity":3}', False),
        ('{"product":"\\n\\n","quantity":3}', False),
        ('{"product":" steel","quantity":3}', False),
        ('{"product":"stee","quantity":3}', False),  # no whole word
        ('{"product":"please send 4","quantity":3}', False),
        ('{"product":"send please","quantity":3}', False),
        ('{"product":"XL-200","quantity":"3"}', False),
        ('{"product":"XL-200","quantity":03}', False),
        ('{"product":"XL-200","quantity":3,"price":-5.5e-07}', True),
        ('{"product":"XL-200","quantity":3,"price":0.000055}', True),
        ('{"product":"XL-200","quantity":3,"price":3384e99}', False),  # would be written otherwise
        ('{"product":"XL-200","quantity":3,"price":.5}', False),
        ('{"product":"XL-200", "quantity":3}', False),
        ('{"quantity":3,"product":"XL-200"}', False),
        ('{"product":"XL-200"}', False),
        ('{"product":"XL-200","quantity":3,}', False),
        ('{"product":"XL-200","quantity":3', False),
        ("{}", False),
    ],
)
def test_the_grammar_is_the_writer_s_form(
    accepts: Callable[[str, str], bool], answer: str, accepted: bool
) -> None:
    assert accepts(grammar_of(ORDER, TEXT), answer) == accepted


def test_without_the_text_any_string_may_be_written(accepts: Callable[[str, str], bool]) -> None:
    grammar = grammar_of(ORDER, None)
    assert accepts(grammar, '{"product":"anything \\\\ \\u0001 at all","quantity":3}')
    assert not accepts(grammar, '{"product":"any"thing","quantity":3}')
    assert not accepts(grammar, '{"product":"' + "x" * 1_001 + '","quantity":3}')


def test_all_optional_fields_may_be_absent(accepts: Callable[[str, str], bool]) -> None:
    fields = {name: field(optional=True, type="integer") for name in "abc"}
    grammar = grammar_of(fields, TEXT)
    for present in ("", "a", "b", "c", "ab", "ac", "bc", "abc"):
        assert accepts(grammar, canonical(dict.fromkeys(present, 1), fields))
    assert not accepts(grammar, '{"b":1,"a":1}')
    assert not accepts(grammar, '{,"a":1}')


def test_a_text_without_words_has_no_pieces(accepts: Callable[[str, str], bool]) -> None:
    for text in ("", " \n"):
        grammar = grammar_of(ORDER, text)
        assert accepts(grammar, '{"quantity":3}')
        assert not accepts(grammar, '{"product":" ","quantity":3}')
        assert not accepts(grammar, '{"product":"","quantity":3}')
        assert accepts(passage_grammar(text, NONE), NONE)
        assert not accepts(passage_grammar(text, NONE), "")
        assert not accepts(passage_grammar(text, NONE), "a")


@pytest.mark.parametrize("text", ["東京タワーは高い。", "ประเทศไทย สวย"])
def test_scripts_without_spaces_are_taken_apart(
    accepts: Callable[[str, str], bool], text: str
) -> None:
    grammar = grammar_of({"place": field()}, text)
    for start in range(len(text)):
        for end in range(start + 1, len(text) + 1):
            piece = text[start:end]
            # A vowel or tone sign does not stand apart from its letter.
            apart = [c for c in (piece[0], text[end : end + 1]) if c and c in "ัิี่้"]
            if piece == piece.strip() and not apart:
                assert accepts(grammar, canonical({"place": piece}, {"place": field()})), piece


@pytest.mark.parametrize(
    ("answer", "accepted"),
    [
        ("", False),
        ("no answer", True),
        ("no", False),
        ("3 of the", True),
        (' "XL-200" (steel) to C:\\temp', True),
        ("all,\n\nplease", True),
        ("Thanks 😀", True),
        ("Thank", False),
        ("3 of XL", False),
        ("\n\nplease", False),
    ],
)
def test_an_answer_to_a_question_is_a_piece_of_the_passage_or_says_that_there_is_none(
    accepts: Callable[[str, str], bool], answer: str, accepted: bool
) -> None:
    assert accepts(passage_grammar(TEXT, NONE), answer) == accepted


def test_what_a_text_says_stays_text(accepts: Callable[[str, str], bool]) -> None:
    """Whatever in it looks like the grammar's own language."""
    texts = [
        'a"} & /x/\nstart: "b"',
        '"]}\nLINKS: /.*/',
        "\\\" \\u0022 \\n %regex { } // # | <|im_end|>",
        "%llguidance {} %json {} @other <[0]> /.*/ ~ &",
        '"\n%ignore /b/\n',
    ]  # fmt: skip
    for text in texts:
        fields = {text: field(), "other": field(values=[text], optional=True)}
        grammar = grammar_of(fields, text)
        assert accepts(grammar, canonical({text: text, "other": text}, fields)), text
        assert accepts(passage_grammar(text, NONE), text)
        for other in ("zzz", '{"b":"zzz"}', json.dumps({text: "zzz"}), text + "zzz"):
            assert not accepts(grammar, other)
            assert not accepts(passage_grammar(text, NONE), other)


def test_a_long_text_is_no_burden(smollm2_folder: Path) -> None:
    words = [f"word{n}" if n % 3 else "and" for n in range(3_000)]
    text = " ".join(words)
    grammars, encoder = tools(smollm2_folder, False)
    constraint = grammars.compile(grammar_of({"a": field()}, text))
    (ids,) = encoder.texts([canonical({"a": " ".join(words[1_500:1_520])}, {"a": field()})])
    for token in ids:
        assert constraint.allowed()[token]
        constraint.advance(token)
    assert constraint.must_end


# Random texts, schemas and answers.

# SmolLM2 has no tokens for some bytes: control characters (which JSON escapes; no text of the
# corpus holds any) and planes that no script is in. Others are cut into tokens as they are.
characters = st.characters(
    codec="utf-8", max_codepoint=0x3FFFF, exclude_categories=["Cc", "Cs"], include_characters="\n\t"
)
words = st.sampled_from(
    ['"', "\\", "\n", "\t", " ", "'", "{", "}", "[", ",", ":", "steel", "XL-200", "Zoë", "😀",
     "東京", "\\n", '\\"', "3.5", "-1,200", "é", "\xa0", "/*", "<|im_end|>", "%regex", "\u2028"]
)  # fmt: skip
texts = st.text(characters, max_size=30) | st.lists(words | st.text(characters, max_size=4)).map(
    "".join
)
names = st.text(characters, min_size=1, max_size=8) | words
schemas = st.dictionaries(
    names,
    st.one_of(
        st.builds(lambda o, m: field(optional=o, list=m), st.booleans(), st.booleans()),
        st.builds(
            lambda t, o, m: field(type=t, optional=o, list=m),
            st.sampled_from(["integer", "number", "boolean"]), st.booleans(), st.booleans(),
        ),
        st.builds(
            lambda t, o, m: field(type=t, grounded=True, optional=o, list=m),
            st.sampled_from(["integer", "number"]), st.booleans(), st.booleans(),
        ),
        st.builds(
            lambda v, o, m: field(values=v, optional=o, list=m),
            st.lists(names.filter(str.strip), min_size=1, max_size=4), st.booleans(), st.booleans(),
        ),
    ),
    min_size=1,
    max_size=5,
)  # fmt: skip
free_strings = st.builds(
    lambda o, m: field(grounded=False, optional=o, list=m), st.booleans(), st.booleans()
)


def numbers_by_type(text: str) -> dict[str, list[int | float]]:
    found = [n for n in numbers_in(text) if abs(n) < 10**18]
    return {"number": found, "integer": [n for n in found if isinstance(n, int)]}


def answers(fields: Mapping[str, AnswerField], text: str, data: st.DataObject) -> dict[str, Any]:
    """One of this schema, its grounded values pieces and numbers of the text."""
    links = [m.span() for m in re.finditer(r"\S+", text)]
    numbers = numbers_by_type(text)

    def value(one: AnswerField) -> Any:
        if one.values is not None:
            return data.draw(st.sampled_from(one.values))
        if one.is_grounded and one.type != "string":
            return data.draw(st.sampled_from(numbers[one.type]))
        if one.is_grounded:
            first, last = sorted(data.draw(st.tuples(*[st.integers(0, len(links) - 1)] * 2)))
            return text[links[first][0] : links[last][1]]  # whole words, marks and all
        kinds: dict[str, st.SearchStrategy[Any]] = {
            "integer": st.integers(-(10**18) + 1, 10**18 - 1),
            "number": st.floats(-1e90, 1e90).filter(lambda x: x == 0 or abs(x) > 1e-90),
            "boolean": st.booleans(),
            "string": st.text(characters, min_size=1, max_size=20).filter(str.strip),
        }
        return data.draw(kinds[one.type])

    found: dict[str, Any] = {}
    for name, one in fields.items():
        if one.optional and data.draw(st.booleans()):
            continue
        if one.is_grounded and not numbers.get(one.type, links):
            assume(one.optional)
            continue
        count = data.draw(st.integers(1, 3)) if one.many else 1
        values = [value(one) for _ in range(count)]
        found[name] = values if one.many else values[0]
    return found


@pytest.mark.parametrize("pruned", [False, True], ids=["whole", "pruned"])
@MANY
@given(texts, schemas, st.dictionaries(names, free_strings, max_size=2), st.data())
def test_what_the_writer_writes_the_grammar_accepts_and_the_reader_reads(
    smollm2_folder: Path,
    pruned: bool,
    text: str,
    some: dict[str, AnswerField],
    others: dict[str, AnswerField],
    data: st.DataObject,
) -> None:
    fields = {**some, **others}
    assume(text.strip())
    answer = answers(fields, text, data)
    written = canonical(answer, fields)
    grammars, encoder = tools(smollm2_folder, pruned)
    (ids,) = encoder.texts([written])
    assert grammars.compile(grammar_of(fields, text)).accepts(ids)
    assert grammars.compile(grammar_of(fields, None)).accepts(ids)
    read = parsed(written, fields)
    assert read is not None
    assert canonical(read, fields) == written
    assert list(read) == [n for n in fields if n in answer]
    for name, value in read.items():
        if fields[name].type == "number":
            assert value == pytest.approx(answer[name], rel=1e-12)
        elif fields[name].type != "string":
            assert value == answer[name]


@pytest.fixture(scope="module")
def tiny(
    write_tiny_model: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[PreTrainedModel, Grammars, Any]:
    folder = write_tiny_model(tmp_path_factory.mktemp("grammar") / "model", initializer_range=0.3)
    tokenizer = load_tokenizer(folder)
    grammars = Grammars(tokenizer, len(tokenizer), [tokenizer.eos_token_id])
    return load_model(folder, torch.device("cpu"), torch.float32), grammars, tokenizer


def written_under(
    tiny: tuple[PreTrainedModel, Grammars, Any], grammar: str, seed: int
) -> list[str]:
    """Answers of a model that knows nothing, those that came to an end."""
    model, grammars, tokenizer = tiny

    def constraint(i: int) -> Constraint:
        return grammars.compile(grammar)

    # Nearly every token that is allowed is as likely as the others.
    found = generate(
        model, [tokenizer("Answer:").input_ids] * 4, end_ids={tokenizer.eos_token_id},
        max_new_tokens=300, vocabulary=len(tokenizer), temperature=8.0, seed=seed,
        constraints=constraint,
    )  # fmt: skip
    ended = [g for g in found if g.ended]
    assert all(len(g.ids) == 300 for g in found if not g.ended)  # cut off, never stuck
    return [bytes_of(tokenizer, g.ids) for g in ended]


def bytes_of(tokenizer: Any, ids: list[int]) -> str:
    found: str = tokenizer.decode(ids, skip_special_tokens=False)
    return found


@FEW
@given(texts, schemas, st.integers(0, 1_000))
def test_a_model_that_knows_nothing_writes_what_can_be_read_and_stands_in_the_text(
    tiny: tuple[PreTrainedModel, Grammars, Any],
    text: str,
    fields: dict[str, AnswerField],
    seed: int,
) -> None:
    numbers = numbers_by_type(text)
    assume(text.strip())
    # Where there is no number, one that must be told can't be.
    assume(all(f.optional or numbers.get(f.type, True) for f in fields.values() if f.is_grounded))
    for written in written_under(tiny, grammar_of(fields, text), seed):
        read = parsed(written, fields)
        assert read is not None, written
        for name, value in read.items():
            for one in value if fields[name].many else [value]:
                if fields[name].is_grounded and fields[name].type != "string":
                    assert one in numbers_in(text)
                elif fields[name].is_grounded:
                    assert one
                    assert one in text
                if fields[name].values is not None:
                    assert one in fields[name].values


@FEW
@given(texts, st.integers(0, 1_000))
def test_a_model_that_knows_nothing_answers_with_pieces_of_the_passage(
    tiny: tuple[PreTrainedModel, Grammars, Any], text: str, seed: int
) -> None:
    for written in written_under(tiny, passage_grammar(text, NONE), seed):
        said = written.removeprefix(" ")
        assert said == NONE or said in text


def test_a_model_that_knows_nothing_comes_to_an_end(
    tiny: tuple[PreTrainedModel, Grammars, Any],
) -> None:
    """So the two tests above see answers."""
    fields = {n: f for n, f in ORDER.items() if n != "remark"}
    found = [w for seed in range(5) for w in written_under(tiny, grammar_of(fields, TEXT), seed)]
    assert len(found) > 10
    assert len(set(found)) > 10
    assert (
        len([w for s in range(5) for w in written_under(tiny, passage_grammar(TEXT, NONE), s)]) > 10
    )
