"""The untrained control: the student as it was cut, before it learned anything.

It has its student's layers, shape and vocabulary, so that what both do alike was never learned from
the student's texts. Its teacher was adapted on some of them; with most of its layers taken out, and
none trained since, little of that is left.
"""

from __future__ import annotations

from pathlib import Path

from stillhouse.storage.files import read_json
from stillhouse.student.initialise import cut_student
from stillhouse.student.vocabulary import load_vocabulary


def cut_again(start: Path, checkpoint: Path, target: Path) -> None:
    """Fill `target` with what the student in `checkpoint` was cut as from `start`."""
    layers = int(read_json(checkpoint / "config.json")["num_hidden_layers"])
    cut_student(start, layers=layers, vocabulary=load_vocabulary(checkpoint), target=target)
