"""A student that begins as a model of its own, not as layers of its teacher.

For teachers of which nothing is here to cut from, or that have no small kin. The student keeps the
tokens of what it begins as. What a teacher says of a class holds whatever the tokens around it;
what it says of written answers, for a student that cuts text into the same tokens.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.errors import UserError
from stillhouse.lm.tokens import add_tokens
from stillhouse.models.importing import import_teacher
from stillhouse.models.loading import load_model, load_tokenizer, stored_dtype
from stillhouse.soft_labels.reader import LabelReader
from stillhouse.storage.files import atomic_dir
from stillhouse.tasks.common import Kind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger("stillhouse")

CUTTING = ("model", "normalizer", "pre_tokenizer")  # of a tokenizer: what decides on tokens


def prepare_base(
    model: str,
    source: Path,
    target: Path,
    kinds: Sequence[Kind],
    teacher: PreTrainedTokenizerBase,
    labels: LabelReader | None,
) -> None:
    """Write the model in `source` as a folder with the tokens of all answers that `kinds` or
    `labels` know; nothing happens when `target` is there. `model` is its name for messages.

    Raises `UserError` as `import_teacher` does.
    """
    import torch

    if target.exists():
        return
    tokens = {token: words for kind in kinds for token, words in kind.answer_tokens.items()}
    for store in labels.stores if labels else ():
        known = teacher.convert_ids_to_tokens(list(store.header.encoding.label_ids))
        tokens |= {token: token.strip("<|>") for token in known if token not in tokens}
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_dir(target) as folder:
        import_teacher(model, source, folder)
        tokenizer, dtype = load_tokenizer(folder), stored_dtype(folder)
        loaded = load_model(folder, torch.device("cpu"), dtype)
        add_tokens(loaded, tokenizer, tokens)
        for file in folder.glob("*.safetensors*"):
            file.unlink()
        loaded.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def teacher_to_student(
    teacher: PreTrainedTokenizerBase, student: PreTrainedTokenizerBase
) -> NDArray[np.int64]:
    """The student's ids of the teacher's tokens [teacher vocabulary], -1 for those that it lacks:
    tokens of the same name."""
    import numpy as np

    own: Mapping[str, int] = student.get_vocab()
    known = teacher.get_vocab()
    found = np.full(max(known.values()) + 1, -1, dtype=np.int64)
    for token, place in known.items():
        found[place] = own.get(token, -1)
    return found


def require_same_tokens(
    teacher: PreTrainedTokenizerBase,
    base: PreTrainedTokenizerBase,
    labels: LabelReader,
    student: str,
) -> None:
    """Raise `UserError` where soft labels are of the teacher's tokens, and the student cuts text
    into others."""
    if all(s.header.encoding.kind == "label_distribution" or not len(s) for s in labels.stores):
        return
    if _cutting(teacher) != _cutting(base):
        raise UserError(
            f"students[].init.from of {student}: its tokenizer is not the teacher's, and soft "
            "labels of written answers are of the teacher's tokens",
            remedy="begin as a model with the teacher's tokenizer, or set "
            "`students[].distillation.alpha: 0`, and it learns from the answers alone "
            "(sequence-level distillation).",
        )


def _cutting(tokenizer: PreTrainedTokenizerBase) -> dict[str, object]:
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    return {name: backend.get(name) for name in CUTTING}
