"""What students can have of a teacher that a server runs: neither its layers nor its logits."""

from __future__ import annotations

from collections.abc import Sequence

from stillhouse.config.base import FieldError
from stillhouse.config.dataset import Task
from stillhouse.config.student import Student
from stillhouse.config.teacher import SoftLabels, Teacher


def require_of_endpoint(
    teacher: Teacher, soft_labels: SoftLabels, tasks: Sequence[Task], students: Sequence[Student]
) -> None:
    """Raise `FieldError` where a student asks for what the endpoint can't give."""
    if soft_labels.encoding in ("sampled", "hidden"):
        raise FieldError(
            ("soft_labels", "encoding"),
            f"{soft_labels.encoding} needs a teacher's hidden states, and {teacher.version} is an "
            "endpoint; leave it out or use top_k",
        )
    for number, student in enumerate(students):
        at = ("students", number)
        if student.init.base is None:
            raise FieldError(
                (*at, "init", "from"),
                f"teacher {teacher.version} is an endpoint, which has no layers here to cut a "
                "student from; name a small model to begin as, with its licence, as in "
                '`init: {from: "hf:<organisation>/<name>", license: Apache-2.0, layers: all}`',
            )
        for task in tasks:
            if task.name not in student.tasks or not student.distillation.alpha_of(task):
                continue
            if teacher.endpoint.log_probs == "none":
                raise FieldError(
                    (*at, "distillation", "alpha"),
                    f"task {task.name} is learned from soft labels, and {teacher.version} is asked "
                    "for no log-probabilities (`endpoint.log_probs: none`); set alpha to 0, and "
                    "the student learns from answers alone (sequence-level distillation)",
                )
            encoding = soft_labels.encoding_of(task, adapted=False, elsewhere=True)
            if encoding == "top_k" and student.distillation.temperature != 1.0:
                raise FieldError(
                    (*at, "distillation", "temperature"),
                    f"{teacher.version} is an endpoint, which tells the likeliest tokens of task "
                    f"{task.name} at temperature 1 alone: at any other, how much all the rest "
                    "weighs is not known; set it to 1, or alpha to 0",
                )
