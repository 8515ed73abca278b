"""Answers written by `stillhouse.lm.generation` beside Hugging Face's `model.generate`.

    python benchmarks/generation.py --snips DIR
    python benchmarks/generation.py --snips DIR --requests 16 --repetitions 3

Both write greedily and in float32, in batches of 16, what comes after the prompts of test requests
of SNIPS: with the teacher, and with a student cut from it as the graph cuts one (some of its
layers, and the tokens that 4,000 training requests use). Neither model has learned the task: what
they write is no sense, and costs the same.

All answers have the same number of tokens, about as many as a gold answer, and no end token is
looked for. So no row of a batch waits for a longer one, which is what ours is made for: equal
lengths are the best case of padded batches. These hold prompts of like length, and are laid out
beforehand. Ours does what it always does: it reads but once what all prompts begin with, the
instruction, and keeps each token's log-probability. How many of the tokens are the same is
reported; where two are as likely but for rounding, answers part for good.

`schema` and `grounded` are what the student writes under the grammars of an extraction, beside the
same model writing as many tokens to each prompt without (`constrained_*`: seconds without over
seconds with). A grammar may end an answer early. Grammars are compiled within the time, one an
answer; the tokenizer is taken apart before, once a model.

All take turns within a repetition, forwards and backwards; ratios are within a repetition, medians
over repetitions. Where other work shares the machine, `OMP_NUM_THREADS=1` with `--clock cpu` counts
this process's seconds on one core alone.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measuring import CLOCKS, in_turns
from snips_data import PROJECT, TASK, snips
from teachers import imported

from stillhouse.lm.batches import plan_batches
from stillhouse.lm.generation import Generated, generate
from stillhouse.lm.grammar import Grammars
from stillhouse.lm.prompts import Encoder
from stillhouse.models.importing import describe
from stillhouse.models.loading import load_model, load_tokenizer, pick_device
from stillhouse.offline import go_offline
from stillhouse.progress import silence_bars
from stillhouse.storage.files import read_json, write_json
from stillhouse.student.initialise import cut_student
from stillhouse.student.vocabulary import prune_tokenizer
from stillhouse.tasks.common import Row
from stillhouse.tasks.extraction_grammar import grammar_of
from stillhouse.threads import be_considerate

if TYPE_CHECKING:
    import torch

HERE = Path(__file__).resolve().parent
BATCH = 16
CORPUS = {"gold": 1_000, "unlabelled": 3_000}  # the training requests of examples/snips
MAX_TOKENS = 128

# Seconds of the first over those of the second: what it is called, and what it is to be at least.
RATIOS = {
    "student_vs_teacher": ("theirs, teacher", "ours, student", 4.0),
    "student": ("theirs, student", "ours, student", 1.3),
    "teacher": ("theirs, teacher", "ours, teacher", None),
    "constrained_schema": ("as long as schema", "schema", None),
    "constrained_grounded": ("as long as grounded", "grounded", None),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--snips", type=Path, required=True, help="train.jsonl and test.jsonl")
    parser.add_argument("--requests", type=int, default=64, help="that are answered in each turn")
    parser.add_argument("--tokens", type=int, default=32, help="of each answer")
    parser.add_argument("--layers", type=int, default=6, help="of the student")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--teacher", default=PROJECT.teachers[0].model)
    parser.add_argument("--json", type=Path, default=HERE / "results" / "generation.json")
    options = parser.parse_args()
    go_offline()
    be_considerate()
    silence_bars()
    labelled, unlabelled = snips(options.snips, **CORPUS, tested=options.requests)
    corpus = [row for row in [*labelled, *unlabelled] if row["split"] == "train"]
    asked = [row for row in labelled if row["split"] == "test"]
    with tempfile.TemporaryDirectory() as folder:
        teacher = imported(options.teacher)
        cut(teacher, corpus, options.layers, Path(folder))
        writers = {
            "teacher": Writer(teacher, asked, options.tokens),
            "student": Writer(Path(folder), asked, options.tokens),
        }
        results = measure(writers, options)
    write_json(options.json, results)
    print(markdown(results))


def cut(teacher: Path, corpus: Sequence[Row], layers: int, target: Path) -> None:
    """A student, as `distil_student` begins."""
    tokenizer = load_tokenizer(teacher)
    seen = {token for e in Encoder(tokenizer, MAX_TOKENS).pairs(corpus) for token in e.ids}
    rows = read_json(teacher / "config.json")["vocab_size"]
    vocabulary = prune_tokenizer(tokenizer, seen, teacher_rows=rows)
    cut_student(teacher, layers=layers, vocabulary=vocabulary, target=target)


class Writer:
    """A model, and the prompts that it goes on from."""

    def __init__(self, folder: Path, asked: Sequence[Row], tokens: int) -> None:
        import torch

        self.tokens, self.info = tokens, describe(folder)
        self.model = load_model(folder, pick_device(), torch.float32)
        self.encoder = Encoder(load_tokenizer(folder), MAX_TOKENS)
        self.vocabulary = len(self.encoder.tokenizer)
        examples = self.encoder.prompts(asked)
        self.prompts = [e.ids[: e.response_start] for e in examples]
        self.texts = [row["input"] for row in asked]
        self.grammars = Grammars(self.encoder.tokenizer, self.vocabulary, [self.encoder.end_id])
        self.batches = [
            (places, *self._padded(places))
            for places in plan_batches([len(p) for p in self.prompts], BATCH)
        ]

    def _padded(self, places: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Prompts and what of them counts [prompts, length], filled up on the left."""
        import torch

        chosen = [self.prompts[i] for i in places]
        width, pad = max(map(len, chosen)), self.encoder.tokenizer.pad_token_id
        ids = [[pad] * (width - len(p)) + p for p in chosen]
        mask = [[0] * (width - len(p)) + [1] * len(p) for p in chosen]
        device = self.model.device
        return torch.tensor(ids, device=device), torch.tensor(mask, device=device)

    def ours(self, limits: Sequence[int] | None = None) -> list[list[int]]:
        found = self._generate(end_ids=(), max_new_tokens=limits or self.tokens)
        return [answer.ids for answer in found]

    def theirs(self) -> list[list[int]]:
        import torch

        found: list[list[int]] = [[]] * len(self.prompts)
        with torch.inference_mode():
            for places, ids, mask in self.batches:
                written = self.model.generate(
                    input_ids=ids,
                    attention_mask=mask,
                    do_sample=False,
                    max_new_tokens=self.tokens,
                    eos_token_id=None,
                    pad_token_id=self.encoder.tokenizer.pad_token_id,
                )[:, ids.shape[1] :].tolist()
                for place, answer in zip(places, written, strict=True):
                    found[place] = answer
        return found

    def constrained(self, decoding: str) -> list[int]:
        """The tokens of each answer, its end among them."""
        found = self._generate(
            end_ids=[self.encoder.end_id],
            max_new_tokens=self.tokens,
            constraints=lambda i: self.grammars.compile(
                grammar_of(TASK.fields, self.texts[i] if decoding == "grounded" else None)
            ),
        )
        return [len(answer.ids) + answer.ended for answer in found]

    def _generate(self, **how: Any) -> list[Generated]:
        return generate(
            self.model, self.prompts, vocabulary=self.vocabulary, batch_size=BATCH, **how
        )


def measure(writers: dict[str, Writer], options: argparse.Namespace) -> dict[str, Any]:
    import torch

    student = writers["student"]
    contenders: dict[str, Callable[[], object]] = {}
    tokens: dict[str, int] = {}
    same: dict[str, dict[str, float]] = {}
    for name, writer in writers.items():
        same[name] = agreement(writer.ours(), writer.theirs())
        contenders |= {f"theirs, {name}": writer.theirs, f"ours, {name}": writer.ours}
        tokens |= dict.fromkeys(contenders, len(writer.prompts) * options.tokens)
    for decoding in ("schema", "grounded"):
        limits = student.constrained(decoding)
        contenders |= {
            decoding: lambda decoding=decoding: student.constrained(decoding),  # type: ignore[misc]
            f"as long as {decoding}": lambda limits=limits: student.ours(limits),  # type: ignore[misc]
        }
        tokens |= {decoding: sum(limits), f"as long as {decoding}": sum(limits)}
    runs = in_turns(contenders, options.repetitions, options.clock)
    ratios = {
        name: [run[slow] / run[fast] for run in runs] for name, (slow, fast, _) in RATIOS.items()
    }
    return {
        **{name: round(statistics.median(values), 3) for name, values in ratios.items()},
        "targets": {name: goal for name, (*_, goal) in RATIOS.items() if goal},
        "spread": {n: [round(min(v), 3), round(max(v), 3)] for n, v in ratios.items()},
        "tokens_a_second": {
            name: round(statistics.median(tokens[name] / run[name] for run in runs), 1)
            for name in contenders
        },
        "tokens": tokens,
        "same": same,
        "models": {
            name: {
                "parameters": writer.info.parameters,
                "layers": writer.info.layers,
                "vocabulary": writer.vocabulary,
            }
            for name, writer in writers.items()
        },
        "requests": len(student.prompts),
        "mean_prompt_tokens": round(statistics.mean(map(len, student.prompts)), 1),
        "device": student.model.device.type,
        "dtype": str(student.model.dtype),
        "clock": options.clock,
        "torch_threads": torch.get_num_threads(),
        "repetitions": len(runs),
    }


def agreement(ours: Sequence[list[int]], theirs: Sequence[list[int]]) -> dict[str, float]:
    """Shares of tokens, and of whole answers, that are the same."""
    pairs = [(a, b) for x, y in zip(ours, theirs, strict=True) for a, b in zip(x, y, strict=True)]
    return {
        "tokens": sum(a == b for a, b in pairs) / len(pairs),
        "answers": sum(x == y for x, y in zip(ours, theirs, strict=True)) / len(ours),
    }


def markdown(results: dict[str, Any]) -> str:
    lines = ["| ratio | target | median | lowest to highest |", "|---|--:|--:|--:|"]
    for name, (slow, fast, goal) in RATIOS.items():
        low, high = results["spread"][name]
        target = f">= {goal}" if goal else ""
        lines.append(
            f"| {fast}, over {slow} (`{name}`) | {target} | {results[name]:.2f} "
            f"| {low:.2f} to {high:.2f} |"
        )
    lines += ["", "| contender | tokens/s | tokens |", "|---|--:|--:|"]
    for name, rate in results["tokens_a_second"].items():
        lines.append(f"| {name} | {rate:,.0f} | {results['tokens'][name]:,} |")
    said = [
        f"{name}: {same['tokens']:.4f} of the tokens, {same['answers']:.4f} of the answers"
        for name, same in results["same"].items()
    ]
    return "\n".join([*lines, "", f"The same in ours and theirs: {'; '.join(said)}."])


if __name__ == "__main__":
    main()
