"""Shards: read back as written, refused when of another make, whole or absent after a kill."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from stillhouse.errors import UserError
from stillhouse.soft_labels.classes import encode_label_distribution
from stillhouse.soft_labels.hidden import encode_hidden
from stillhouse.soft_labels.sampled import encode_sampled
from stillhouse.soft_labels.store import (
    SUFFIX,
    LabelMismatchError,
    LabelStore,
    ShardHeader,
    read_shard,
    write_shard,
)
from stillhouse.soft_labels.top_k import encode_top_k
from stillhouse.storage.files import atomic_file

LENGTHS = {"a" * 64: 3, "b" * 64: 0, "ключ": 5, "d": 1}


def labels_of(kind="sampled", lengths=LENGTHS, scale=3.0):
    rows = sum(lengths.values())
    logits = scale * torch.randn(rows, 60, generator=torch.Generator().manual_seed(0))
    records = {
        "top_k": lambda: encode_top_k(logits, 4, (1.0, 2.0)),
        "sampled": lambda: encode_sampled(logits, 2.0),
        "label_distribution": lambda: encode_label_distribution(logits[:, 5:8], (5, 6, 7)),
        "hidden": lambda: encode_hidden(logits),
    }[kind]()
    return dict(zip(lengths, records.split(list(lengths.values())), strict=True))


def header_of(labels):
    encoding = next(iter(labels.values())).encoding
    return ShardHeader(teacher="teacher-1", tokenizer="tokenizer-1", encoding=encoding)


def same(left, right):
    return left.encoding == right.encoding and all(
        left.arrays[n].dtype == a.dtype and np.array_equal(left.arrays[n], a)
        for n, a in right.arrays.items()
    )


@pytest.mark.parametrize("kind", ["top_k", "sampled", "label_distribution", "hidden"])
def test_a_shard_reads_back_as_written(tmp_path, kind):
    labels = labels_of(kind)
    path = tmp_path / "x.labels.safetensors"
    write_shard(path, header_of(labels), labels)
    shard = read_shard(path, header_of(labels))
    assert shard.keys == list(labels)
    for index, records in enumerate(labels.values()):
        assert same(shard.records(index), records)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("field", ["teacher", "tokenizer", "entries", "temperatures", "kind"])
def test_another_header_is_refused_by_the_name_of_the_field(tmp_path, field):
    labels = labels_of("top_k")
    header = header_of(labels)
    path = tmp_path / "x.labels.safetensors"
    write_shard(path, header, labels)
    change = {
        "teacher": {"teacher": "teacher-2"},
        "tokenizer": {"tokenizer": "tokenizer-2"},
        "entries": {"encoding": replace(header.encoding, entries=8)},
        "temperatures": {"encoding": replace(header.encoding, temperatures=(1.0,))},
        "kind": {"encoding": replace(header.encoding, kind="sampled")},
    }[field]
    with pytest.raises(LabelMismatchError) as refusal:
        read_shard(path, replace(header, **change))
    name = field if field in ("teacher", "tokenizer") else f"encoding.{field}"
    assert str(path) in refusal.value.message
    assert f"{name} is " in refusal.value.message
    assert refusal.value.message.count("expected") == 1
    with pytest.raises(LabelMismatchError):
        LabelStore(tmp_path, replace(header, **change))


def test_a_safetensors_file_of_another_kind_is_refused(tmp_path):
    from safetensors.numpy import save_file

    header = header_of(labels_of())
    path = tmp_path / "x.labels.safetensors"
    save_file({"weight": np.zeros(3)}, path)
    with pytest.raises(LabelMismatchError, match="format is absent"):
        read_shard(path, header)


@pytest.mark.parametrize("keep", [0, 5, 200, -1])
def test_a_damaged_shard_is_refused_with_a_remedy(tmp_path, keep):
    labels = labels_of()
    path = tmp_path / "x.labels.safetensors"
    write_shard(path, header_of(labels), labels)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"(?s)not a readable shard.*delete the file"):
        read_shard(path, header_of(labels))


def test_a_shard_of_other_records_is_not_written(tmp_path):
    labels = labels_of("top_k")
    with pytest.raises(ValueError, match="encoded as"):
        write_shard(tmp_path / "x", header_of(labels_of("sampled")), labels)
    with pytest.raises(ValueError, match="one line"):
        write_shard(tmp_path / "x", header_of(labels), {"a\nb": labels["d"]})
    assert not list(tmp_path.iterdir())


def test_a_file_of_sampled_labels_takes_at_most_36_bytes_a_token(tmp_path):
    """Header, keys and offsets included, for answers of 40 tokens and a teacher about as sure
    as language models are (some 3 of 60 likely tokens)."""
    labels = labels_of(lengths={f"{i:064x}": 40 for i in range(200)})
    path = tmp_path / "x.labels.safetensors"
    write_shard(path, header_of(labels), labels)
    assert path.stat().st_size <= 36 * 40 * 200


def test_reading_one_pair_maps_the_file_and_leaves_the_rest(tmp_path):
    import psutil

    rng = np.random.default_rng(0)
    template = labels_of("top_k")["d"]
    rows = 400_000
    big = replace(
        template,
        arrays={
            n: rng.integers(0, 60, (rows, *a.shape[1:])).astype(a.dtype)
            for n, a in template.arrays.items()
        },
    )
    labels = {"big": big, "small": template}
    path = tmp_path / "x.labels.safetensors"
    write_shard(path, header_of(labels), labels)
    before = psutil.Process().memory_info().rss
    shard = read_shard(path, header_of(labels))
    assert same(shard.records(1), template)
    assert psutil.Process().memory_info().rss - before < path.stat().st_size / 4
    assert any(m.path == str(path) for m in psutil.Process().memory_maps())


def test_a_store_asks_only_for_what_is_missing(tmp_path):
    labels = labels_of()
    header = header_of(labels)
    store = LabelStore(tmp_path / "labels", header)
    first = {key: labels[key] for key in list(labels)[:2]}
    rest = {key: labels[key] for key in list(labels)[2:]}
    assert store.missing([*labels, *labels]) == list(labels)
    assert store.write({}) is None
    assert store.write(first) is not None
    assert store.missing(labels) == list(rest)
    reopened = LabelStore(tmp_path / "labels", header)
    assert reopened.missing(labels) == list(rest)
    reopened.write(rest)
    assert reopened.missing(labels) == []
    assert len(reopened) == len(labels)
    for key, records in labels.items():
        assert same(reopened.get(key), records)
    with pytest.raises(KeyError):
        reopened.get("unknown")


def test_writing_the_same_pairs_again_makes_no_second_shard(tmp_path):
    labels = labels_of()
    store = LabelStore(tmp_path, header_of(labels))
    assert store.write(labels) == store.write(labels)
    assert len(list(tmp_path.iterdir())) == 1
    assert all(same(store.get(key), records) for key, records in labels.items())


@pytest.mark.parametrize("kept", [[], ["d"], ["a" * 64, "ключ"], list(LENGTHS)])
def test_pairs_that_are_gone_leave_the_disk_too(tmp_path, kept):
    labels = labels_of()
    store = LabelStore(tmp_path, header_of(labels))
    store.write({"d": labels["d"]})
    store.write(labels)  # "d" lies in two shards
    assert store.keep_only([*kept, "never labelled"]) == len(labels) - len(kept)
    for found in (store, LabelStore(tmp_path, header_of(labels))):
        assert found.missing(labels) == [key for key in labels if key not in kept]
        assert all(same(found.get(key), labels[key]) for key in kept)
    everything = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    for key in labels:
        if len(key) > 1:
            assert (key.encode() in everything) == (key in kept)


def test_what_is_kept_is_not_written_again(tmp_path):
    labels = labels_of()
    store = LabelStore(tmp_path, header_of(labels))
    store.write(labels)
    before = [(f.name, f.stat().st_ino) for f in tmp_path.iterdir()]
    assert store.keep_only(labels) == 0
    assert [(f.name, f.stat().st_ino) for f in tmp_path.iterdir()] == before


def test_leftovers_of_dead_writers_go_and_those_of_live_ones_stay(tmp_path):
    with atomic_file(tmp_path / f"y{SUFFIX}") as live:
        live.write_bytes(b"half")
        for suffix in ("part", "new"):  # killed while writing; killed before it had the lock
            (tmp_path / f".x{SUFFIX}.0000dead.{suffix}").mkdir()
        LabelStore(tmp_path, header_of(labels_of()))
        assert [p.name for p in tmp_path.iterdir()] == [live.parent.name]


WRITER = """
import json, sys
from pathlib import Path
from stillhouse.soft_labels.records import LabelEncoding, LabelRecords
from stillhouse.soft_labels.store import LabelStore, ShardHeader
import numpy as np
encoding = LabelEncoding("sampled", 12, (2.0,))
store = LabelStore(Path(sys.argv[1]), ShardHeader("t", "v", encoding))
for n in range(10**6):
    draws = np.full((200_000, 3), n % 100, dtype=np.uint8)
    draws[:, 2] |= 128
    store.write({str(n): LabelRecords(encoding, {"draws": draws})})
    print(n, flush=True)
"""


def test_kill_9_loses_at_most_the_shard_being_written(tmp_path):
    from stillhouse.soft_labels.records import LabelEncoding

    header = ShardHeader("t", "v", LabelEncoding("sampled", 12, (2.0,)))
    for pause in (0.0, 0.011, 0.023):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        reported = [int(writer.stdout.readline()) for _ in range(3)]
        time.sleep(pause)
        writer.send_signal(signal.SIGKILL)
        reported += [int(line) for line in writer.stdout.read().split()]
        writer.wait()
        store = LabelStore(tmp_path, header)
        assert store.missing(str(n) for n in reported) == []
        for n in reported:
            records = store.get(str(n))
            assert records.rows == 200_000
            assert bool((records.arrays["draws"][:, 0] == n % 100).all())
        names = [p.name for p in tmp_path.iterdir()]
        assert [n for n in names if n.startswith(".") or not n.endswith(SUFFIX)] == []


def test_headers_are_readable_json(tmp_path):
    from safetensors import safe_open

    labels = labels_of()
    path = LabelStore(tmp_path, header_of(labels)).write(labels)
    header = json.loads(safe_open(path, framework="np").metadata()["header"])
    assert header["teacher"] == "teacher-1"
    assert header["tokenizer"] == "tokenizer-1"
    assert header["encoding"]["temperatures"] == [2.0]
