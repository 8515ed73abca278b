"""What soft labels are worth where answers are texts: students of one teacher on SNIPS.

    python benchmarks/distillation_quality_snips.py --snips DIR
    python benchmarks/distillation_quality_snips.py --snips DIR --gold 200 --unlabelled 400

Needs the folder of SNIPS' train.jsonl and test.jsonl, and the teacher in the local cache
(`stillhouse teachers fetch` brings it). Everything runs through the same functions and with the
same settings as examples/snips: the teacher is adapted by LoRA to the gold requests, answers the
unlabelled ones (those of its answers that its own rules refuse are left out), and labels all.
Students cut from it learn

- ce: from the gold answers alone, by cross-entropy;
- hard: from the teacher's answers too, by cross-entropy (alpha 0);
- soft: from the teacher's soft labels of both, and nothing else (alpha 1);
- both: from soft labels and answers (alpha 0.7);

each without and with its hidden states drawn to the teacher's at first ("aligned"), and with each
of several seeds, which decide the order of the pairs. Soft labels are drawn once, as in the graph.
The epoch with the best field F1 of answers written freely is kept, by a tenth as many further gold
requests; figures are those of SNIPS' own test requests that repeat no training request.

No arm shall be better for having cost more. `ce` has as many steps as the others over its fewer
pairs, and the seconds that they owe to the teacher besides, as more steps: with n gold pairs and m
answered ones, and G the seconds of an epoch over the n, it learns for

    epochs * (n + m) / n + (seconds of answering + seconds of labelling) / G    epochs, rounded up.

All is measured once. G includes its validation, which comes oftener to `ce`; and what the teacher
does once for all students is charged to each: both in favour of `ce`. What aligned students owe to
the teacher's hidden states is charged to nobody; aligned `ce` needs them as well.

Differences are tested by a paired bootstrap: seeds and test requests are drawn again together, for
all students at once, and field F1 (micro) is that of the requests drawn. p-values are corrected
after Holm (1979) for the number of comparisons. Of the arms that learn from the teacher, the best
on validation is also compared to the better `ce`.

A killed run goes on with the students it has: they lie below `--work`, by settings.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import distillation_quality_scores as scores
import numpy as np
from distillation_quality_snips_students import ALIGNMENT, ALPHAS, Setting
from numpy.typing import NDArray
from snips_data import PROJECT

from stillhouse.evaluate.predictions import Answers
from stillhouse.metrics.extraction import micro_f1
from stillhouse.models.loading import pick_device, pick_dtype
from stillhouse.offline import go_offline
from stillhouse.progress import silence_bars
from stillhouse.storage.files import write_json
from stillhouse.tasks.writing import FREE, Written
from stillhouse.threads import be_considerate

HERE = Path(__file__).resolve().parent
RESAMPLES = 10_000
FIGURES = {
    "field_f1": "field F1",
    "exact_match": "exact match",
    "free_field_f1": "field F1, written freely",
    "free_exact_match": "exact match, written freely",
}
COMPARED = [
    (one + how, other + how)
    for how in ALIGNMENT
    for one, other in (("soft", "hard"), ("both", "hard"), ("both", "soft"))
]
COMPARED += [(f"{arm}, aligned", arm) for arm in ALPHAS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--snips", type=Path, required=True, help="train.jsonl and test.jsonl")
    parser.add_argument("--gold", type=int, default=1_000, help="training requests with an answer")
    parser.add_argument("--unlabelled", type=int, default=3_000, help="further ones without")
    parser.add_argument("--test", type=int, help="so many test requests; all by default")
    parser.add_argument("--arms", nargs="+", choices=ALPHAS, default=list(ALPHAS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--layers", type=int, default=6, help="of the student")
    parser.add_argument("--epochs", type=int, default=3, help="of the students but `ce`")
    parser.add_argument("--teacher-epochs", type=int, default=2)
    parser.add_argument("--teacher", default=PROJECT.teachers[0].model)
    parser.add_argument("--work", type=Path, default=HERE / "build" / "distillation_quality_snips")
    parser.add_argument(
        "--json", type=Path, default=HERE / "results" / "distillation_quality_snips.json"
    )
    options = parser.parse_args()
    go_offline()
    be_considerate()
    silence_bars()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("stillhouse").setLevel(logging.INFO)
    started = time.monotonic()
    setting = Setting(options)
    results = results_of(setting, answers_of(setting))
    results["minutes"] = round((time.monotonic() - started) / 60, 1)
    write_json(options.json, results)
    print(markdown(results))


def answers_of(setting: Setting) -> dict[str, list[Answers]]:
    """Answers to the test requests by contender, those of a student's seeds in order."""
    setting.prepare()
    arms = [
        (arm, how, seed)
        for seed in range(setting.options.seeds)
        for arm in setting.options.arms
        for how in ALIGNMENT
    ]
    tested = {"teacher": [setting.teacher()]}
    spent: list[float] = []
    for number, (arm, how, seed) in enumerate(arms, 1):
        started, reused = time.monotonic(), setting.reused
        tested.setdefault(arm + how, []).append(setting.student(arm, how, seed))
        if setting.reused == reused:
            spent.append(time.monotonic() - started)
            left = statistics.mean(spent) * (len(arms) - number)
            print(
                f"student {number}/{len(arms)}: {arm}{how}, seed {seed}, {spent[-1]:.0f} s; "
                f"about {left:.0f} s left",
                file=sys.stderr,
                flush=True,
            )
    return tested


def results_of(setting: Setting, tested: dict[str, list[Answers]]) -> dict[str, Any]:
    counted = {name: [by_request(a) for a in answers] for name, answers in tested.items()}
    spread = scores.spread(counted, figures)
    teachers = spread["teacher"]["field_f1"]["mean"]
    best = best_of(setting.trained)
    device = pick_device()
    return {
        "gold": setting.options.gold,
        "unlabelled": len(setting.unlabelled),
        "teachers_answers": setting.kept,
        "teachers_answers_right": setting.share_right(),
        "test_requests": len(counted["teacher"][0]),
        "seeds": setting.options.seeds,
        "students": sum(map(len, setting.trained.values())),
        "students_of_earlier_calls": setting.reused,
        "settings": {
            k: getattr(setting.options, k)
            for k in ("layers", "epochs", "teacher_epochs", "teacher")
        },
        "device": device.type,
        "dtype": str(pick_dtype(device)),
        "costs": setting.costs,
        "training": setting.trained,
        "best_on_validation": best,
        "of_the_teachers": {
            name: found["field_f1"]["mean"] / teachers if teachers else None
            for name, found in spread.items()
        },
        "scores": spread,
        "differences": scores.differences(counted, figures, [*COMPARED, *best], RESAMPLES),
    }


def best_of(trained: dict[str, list[dict[str, Any]]]) -> list[tuple[str, str]]:
    """The best contender taught by the teacher and the better `ce`, if there are both.

    By validation: chosen by test requests, the best would be so by luck as well.
    """
    found = {
        name: statistics.mean(t["validation_field_f1"] for t in students)
        for name, students in trained.items()
    }
    alone = [name for name in found if name in {"ce" + how for how in ALIGNMENT}]
    taught = [name for name in found if name not in alone]
    if not alone or not taught:
        return []
    return [(max(taught, key=lambda n: found[n]), max(alone, key=lambda n: found[n]))]


def by_request(answers: Answers) -> NDArray[Any]:
    """[requests, 8]: the fields that are right, too many and missed, and whether all is right, of
    answers as they are used and as they were written freely."""
    freely = [p | {"text": Written.of(p).as_decoded(FREE)} for p in answers.predictions]
    scored = [answers.scored(), answers.kind.score(answers.gold, freely)]
    return np.column_stack([np.asarray(part) for s in scored for part in (s.counts, s.right)])


def figures(rows: NDArray[Any], _: NDArray[Any]) -> dict[str, float]:
    sums = rows.sum(axis=0)
    values = [micro_f1(sums[:3]), sums[3] / len(rows), micro_f1(sums[4:7]), sums[7] / len(rows)]
    return dict(zip(FIGURES, map(float, values), strict=True))


def markdown(results: dict[str, Any]) -> str:
    training = results["training"]
    more = {
        "of the teacher's": {
            name: f"{share:.3f}" for name, share in results["of_the_teachers"].items() if share
        },
        "epochs": {name: str(found[0]["epochs"]) for name, found in training.items()},
        "training, s": {
            name: f"{statistics.mean(t['seconds'] for t in found):.0f}"
            for name, found in training.items()
        },
    }
    taught = results["costs"]["answering"] + results["costs"]["labelling"]
    return (
        f"{results['gold']} gold requests, {results['unlabelled']} unlabelled ones of which the "
        f"teacher answered {results['teachers_answers']}, {results['test_requests']} test "
        f"requests; answering and labelling took {taught:.0f} s; "
        + scores.markdown(results, FIGURES, more)
    )


if __name__ == "__main__":
    main()
