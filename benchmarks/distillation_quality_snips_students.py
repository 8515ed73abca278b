"""One teacher of SNIPS and its students, made through the same functions as the graph's."""

from __future__ import annotations

import argparse
import math
import shutil
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distillation_quality_data import write_dataset
from snips_data import PROJECT, TASK, snips
from teachers import imported

from stillhouse.config.student import Student, StudentInit
from stillhouse.config.teacher import SoftLabels
from stillhouse.evaluate.predictions import Answers, predict
from stillhouse.facts import CheckpointFacts
from stillhouse.models.importing import describe
from stillhouse.storage.files import atomic_dir, digest, read_json, write_json
from stillhouse.storage.tables import read_table
from stillhouse.student.distil import distil_student
from stillhouse.tasks.extraction_grammar import parsed
from stillhouse.tasks.running import Runner
from stillhouse.teacher.adaptation import adapt_teacher, trained_layers
from stillhouse.teacher.answers import TABLE, answer_pairs
from stillhouse.teacher.labelling import label_pairs

ADAPTATION, STUDENT = PROJECT.teachers[0].adapt, PROJECT.students[0]
MAX_TOKENS = ADAPTATION.max_tokens
PROBED = 2  # epochs, of which the shorter counts

ALPHAS = {"ce": 0.0, "hard": 0.0, "soft": 1.0, "both": 0.7}
ALIGNMENT = {"": 0.0, ", aligned": 1.0}


class Setting:
    """Everything that is made of a number of requests and a teacher, in a folder of its own.

    `costs` are seconds, measured once; `trained` says by contender how its students were trained,
    an entry a seed.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.adaptation = ADAPTATION.model_copy(update={"epochs": options.teacher_epochs})
        shape = [getattr(options, k) for k in ("gold", "unlabelled", "test", "teacher")]
        shape += [settings.model_dump(mode="json") for settings in (TASK, self.adaptation)]
        self.folder = options.work / digest(shape)[:12]
        labelled, self.unlabelled = snips(
            options.snips, options.gold, options.unlabelled, options.test
        )
        asked = [r | {"response": None, "origin": "unlabelled"} for r in self.unlabelled]
        self.dataset = write_dataset(self.folder / "dataset.parquet", [*labelled, *asked])
        self.adapted = self.folder / "adapted"
        self.answered = self.folder / "answers" / TABLE
        costs = self.folder / "costs.json"
        self.costs: dict[str, float] = read_json(costs) if costs.exists() else {}
        self.trained: dict[str, list[dict[str, Any]]] = {}
        self.reused = 0  # students of an earlier call

    def prepare(self) -> None:
        """The teacher, its answers and labels, and what these cost."""
        if not self.adapted.exists():
            with atomic_dir(self.adapted) as target:
                adapt_teacher(
                    imported(self.options.teacher),
                    target,
                    self.dataset,
                    [TASK],
                    self.adaptation,
                    scratch=self.folder / "adapting",
                    cache=self.folder / "trunk",
                    fingerprint=self.folder.name,
                )
        teacher_digest = describe(self.adapted).fingerprint
        with self._timed("answering", self.answered.parent) as folder:
            self.kept = answer_pairs(
                folder,
                self.dataset,
                [TASK],
                lambda: Runner(self.adapted, self.dataset, MAX_TOKENS),
                teacher_digest=teacher_digest,
                scores={},  # it writes no requests itself
                staging=folder / "staging",
            ).kept
        with self._timed("labelling", self.folder / "labels") as folder:
            self.labels = label_pairs(
                self.adapted,
                folder,
                self.dataset,
                [TASK],
                SoftLabels(),
                [STUDENT.distillation.temperature],
                answered=self.answered,
                teacher_digest=teacher_digest,
                max_tokens=MAX_TOKENS,
                top_layers=trained_layers(self.adaptation, [TASK]),
                cache=self.folder / "trunk",
            )

    @contextmanager
    def _timed(self, name: str, folder: Path) -> Iterator[Path]:
        """Keep the seconds that it takes to fill a folder; of one that a killed run began, it would
        be only a part, so that is begun again."""
        if name not in self.costs:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        yield folder
        if name not in self.costs:
            self._keep_cost(name, time.monotonic() - started)

    def _keep_cost(self, name: str, seconds: float) -> None:
        self.costs[name] = seconds
        write_json(self.folder / "costs.json", self.costs)

    def share_right(self) -> float | None:
        """Of the teacher's answers that are learned from."""
        rows = read_table(self.answered).to_pylist()
        given = {r["pair_id"]: r["response"] for r in rows if r["kept"]}
        right = [
            parsed(given[r["pair_id"]], TASK.fields) == parsed(r["response"], TASK.fields)
            for r in self.unlabelled
            if r["pair_id"] in given
        ]
        return statistics.mean(right) if right else None

    def teacher(self) -> Answers:
        return self._answers("teacher", self.adapted)

    def student(self, arm: str, how: str, seed: int) -> Answers:
        """Its answers to the test requests; the student itself is not kept."""
        settings = self._settings(arm, how, seed, self._epochs(arm))
        fingerprint = digest([settings.model_dump(mode="json"), self.labels.digest])
        name = f"{arm}{how.replace(', ', '-')}-{seed}-{fingerprint[:12]}"
        checkpoint = self.folder / "students" / name
        known = checkpoint.with_suffix(".json")
        if known.exists():
            self.reused += 1
        else:
            facts = self._distil(settings, checkpoint, fingerprint)
            self._answers(name, checkpoint)
            seconds = [epoch["seconds"] for epoch in facts.history]
            training = {
                "validation_field_f1": facts.score,
                "best_epoch": facts.best_epoch,
                "epochs": len(seconds),
                # In its first epoch one student finds the teacher's hidden states for the others.
                "seconds": statistics.median(seconds) * len(seconds),
            }
            write_json(known, training)
            shutil.rmtree(checkpoint)
        self.trained.setdefault(arm + how, []).append(read_json(known))
        return self._answers(name, checkpoint)

    def _epochs(self, arm: str) -> int:
        """Of a student, so that no arm costs more than `ce`."""
        epochs: int = self.options.epochs
        gold: int = self.options.gold
        if arm != "ce":
            return epochs
        name = f"gold_epoch_{self.options.layers}"
        if name not in self.costs:
            settings = self._settings(arm, "", 0, PROBED)
            facts = self._distil(settings, self.folder / "probe", "probe")
            self._keep_cost(name, min(epoch["seconds"] for epoch in facts.history))
        taught = self.costs["answering"] + self.costs["labelling"]
        return math.ceil(epochs * (gold + self.kept) / gold + taught / self.costs[name])

    def _settings(self, arm: str, how: str, seed: int, epochs: int) -> Student:
        distillation = STUDENT.distillation.model_copy(
            update={"alpha": ALPHAS[arm], "alignment": ALIGNMENT[how], "seed": seed}
            | {"epochs": epochs, "patience": epochs}
        )
        init = StudentInit(layers=self.options.layers)
        return STUDENT.model_copy(update={"name": arm, "init": init, "distillation": distillation})

    def _distil(self, settings: Student, checkpoint: Path, fingerprint: str) -> CheckpointFacts:
        learned = "gold" if settings.name == "ce" else "all"
        scratch = self.folder / f"training-{learned}-{settings.init.layers}"
        # They are those of these pairs and layers, whichever student is drawn to them.
        for states in (scratch / "hidden_states").glob("*"):
            states.rename(states.with_name(fingerprint))
        with atomic_dir(checkpoint) as target:
            return distil_student(
                self.adapted,
                self.folder / "labels",
                self.labels.headers,
                target,
                self.dataset,
                [TASK],
                settings,
                answered=None if learned == "gold" else self.answered,
                scratch=scratch,
                fingerprint=fingerprint,
            )

    def _answers(self, name: str, model: Path) -> Answers:
        """From their file, if any."""
        runner = Runner(model, self.dataset, MAX_TOKENS)
        store = self.folder / "predictions" / f"{name}.parquet"
        return predict(runner, [TASK], "test", store, model_digest=name)[TASK.name]
