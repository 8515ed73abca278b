from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from stillhouse.student.initialise import cut_student
from stillhouse.student.vocabulary import (
    GONE,
    PrunedVocabulary,
    load_vocabulary,
    merge_parts,
    prune_tokenizer,
)
from tests.student.tokens import tokens_of

CORPUS = [
    "Where is my parcel? It was due on 12/03, order no. 4711.",
    "J'ai perdu ma carte – merci de la bloquer.",
    "Payments of 1.250,00 € were declined twice  (again!)\n\n\tRegards",
    "お荷物が届きません 🦙",
]
LABELS = ["<|billing|>", "<|card_arrival|>"]
MANY = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
FEW = settings(MANY, max_examples=15)  # a vocabulary of 49,152 takes half a second


@cache
def smollm2(folder: Path) -> PreTrainedTokenizerBase:
    """The real tokenizer, with label tokens added as an adapted teacher has them."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(LABELS)
    return tokenizer


@cache
def sentencepiece_like() -> PreTrainedTokenizerFast:
    """BPE over characters that falls back on `<0x..>` tokens, as Llama 2 and Mistral have it."""
    backend = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    backend.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
         decoders.Strip(" ", 1, 0)]
    )  # fmt: skip
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=special, show_progress=False, max_token_length=8
    )
    texts = [*CORPUS, *("the thesis of the theatre " * 3 for _ in range(5))]
    backend.train_from_iterator(texts, trainer)
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", backend.token_to_id("<s>"))]
    )
    plain = backend.to_str().replace('"special":true', '"special":false')
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(plain),
        bos_token="<s>", eos_token="</s>", unk_token="<unk>",
    )  # fmt: skip


def encode(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return tokenizer(text)["input_ids"]


def as_teacher(vocabulary: PrunedVocabulary, text: str) -> list[int]:
    return [int(vocabulary.student_to_teacher[i]) for i in encode(vocabulary.tokenizer, text)]


texts = st.text(max_size=60) | st.lists(
    st.sampled_from(
        [
            *" ".join(CORPUS).split(" "),
            "unhappiness",
            " internationalisation",
            "\n\n",
            "   ",
            *LABELS,
        ]
    ),
    max_size=12,
).map(" ".join)


@FEW
@given(corpus=st.lists(texts, min_size=1, max_size=12), other=texts)
def test_corpus_texts_are_segmented_as_before_and_all_others_survive(
    smollm2_folder: Path, corpus: list[str], other: str
) -> None:
    tokenizer = smollm2(smollm2_folder)
    vocabulary = prune_tokenizer(tokenizer, tokens_of(tokenizer, corpus))
    for text in corpus:
        assert as_teacher(vocabulary, text) == encode(tokenizer, text)
    ids = encode(vocabulary.tokenizer, other)
    assert vocabulary.tokenizer.decode(ids) == tokenizer.decode(encode(tokenizer, other))
    assert len(vocabulary.student_to_teacher) < 2500


@MANY
@given(corpus=st.lists(texts, min_size=1, max_size=6), other=texts)
def test_the_same_for_bpe_over_characters(corpus: list[str], other: str) -> None:
    tokenizer = sentencepiece_like()
    vocabulary = prune_tokenizer(tokenizer, tokens_of(tokenizer, corpus))
    for text in corpus:
        assert as_teacher(vocabulary, text) == encode(tokenizer, text)
    ids = encode(vocabulary.tokenizer, other)
    assert vocabulary.tokenizer.unk_token_id not in ids
    assert ids[0] == vocabulary.tokenizer.bos_token_id  # the template's ids follow
    assert vocabulary.tokenizer.decode(ids) == tokenizer.decode(encode(tokenizer, other))
    assert len(vocabulary.student_to_teacher) <= len(tokenizer)


def test_both_maps_say_the_same(smollm2_folder: Path) -> None:
    tokenizer = smollm2(smollm2_folder)
    rows = len(tokenizer) + 14  # an embedding padded beyond its tokenizer
    vocabulary = prune_tokenizer(tokenizer, tokens_of(tokenizer, CORPUS), teacher_rows=rows)
    forth, back = vocabulary.teacher_to_student, vocabulary.student_to_teacher
    assert forth.dtype == back.dtype == np.int64
    assert forth.shape == (rows,)
    assert (forth[back] == np.arange(len(back))).all()
    assert (forth >= 0).sum() == len(back) == len(vocabulary.tokenizer)
    assert (np.diff(back) > 0).all()
    assert (forth[len(tokenizer) :] == GONE).all()
    names = tokenizer.convert_ids_to_tokens(back.tolist())
    assert vocabulary.tokenizer.convert_ids_to_tokens(range(len(back))) == names


def test_special_and_label_tokens_keep_their_place_in_life(smollm2_folder: Path) -> None:
    tokenizer = smollm2(smollm2_folder)
    student = prune_tokenizer(tokenizer, []).tokenizer
    for label in LABELS:
        assert len(encode(student, f"so:{label}")) == len("so:") + 1
        assert student.convert_ids_to_tokens(encode(student, label)) == [label]
    assert student.special_tokens_map == tokenizer.special_tokens_map
    assert student.all_special_ids == tokenizer.all_special_ids  # the lowest ids, in order
    assert student.chat_template == tokenizer.chat_template
    assert len(student) < 300  # bytes, special and label tokens


def test_the_pruned_tokenizer_survives_the_disk(smollm2_folder: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(smollm2_folder)
    vocabulary = prune_tokenizer(tokenizer, tokens_of(tokenizer, CORPUS))
    cut_student(smollm2_folder, layers=1, vocabulary=vocabulary, target=tmp_path / "student")
    found = load_vocabulary(tmp_path / "student")
    assert found is not None
    assert (found.teacher_to_student == vocabulary.teacher_to_student).all()
    assert (found.student_to_teacher == vocabulary.student_to_teacher).all()
    for text in CORPUS:
        assert encode(found.tokenizer, text) == encode(vocabulary.tokenizer, text)


def test_the_last_call_of_the_tokenizer_leaves_no_trace(smollm2_folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(smollm2_folder)
    tokenizer(CORPUS, padding="max_length", max_length=3, truncation=True)
    student = prune_tokenizer(tokenizer, tokens_of(tokenizer, CORPUS)).tokenizer
    assert student.backend_tokenizer.padding is None
    assert student.backend_tokenizer.truncation is None


def test_parts_are_what_the_merges_go_through() -> None:
    merges = [("l", "o"), ("lo", "w"), ("e", "r"), ("low", "er"), ("w", "e")]
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    assert merge_parts("lower", ranks) == {*"lower", "lo", "low", "er", "lower"}
    assert merge_parts("we", ranks) == {"w", "e", "we"}
    assert merge_parts("xyz", ranks) == {"x", "y", "z"}


@pytest.mark.parametrize("kind", ["WordPiece", "WordLevel"])
def test_other_tokenizers_are_kept_whole_and_the_log_says_why(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    model = getattr(models, kind)({"[UNK]": 0, "a": 1, "b": 2}, unk_token="[UNK]")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(model), unk_token="[UNK]")
    vocabulary = prune_tokenizer(tokenizer, {1}, teacher_rows=8)
    assert vocabulary.student_to_teacher.tolist() == list(range(8))
    assert vocabulary.teacher_to_student.tolist() == list(range(8))
    assert vocabulary.tokenizer is tokenizer
    assert f"its tokenizer is {kind}, not BPE" in caplog.text
