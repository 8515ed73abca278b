"""The folder of a teacher that a server runs: what the server is, and the tokenizer of its model.

It lies where other teachers have their weights, so that all that asks for prompts and tokens finds
them there.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.config.teacher import Teacher
from stillhouse.endpoint.client import Access, Client
from stillhouse.endpoint.served import Served, look_at
from stillhouse.lm.prompts import Encoder
from stillhouse.models.endpoints import parse_endpoint
from stillhouse.models.importing import TeacherInfo, ensure_padding, tokenizer_fingerprint
from stillhouse.models.loading import load_tokenizer
from stillhouse.storage.files import digest, write_json

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ARCHITECTURE = "endpoint"


def import_endpoint(teacher: Teacher, tokenizer: Path, target: Path, access: Access) -> TeacherInfo:
    """Ask the server of `teacher` what it can tell, and write that into the empty folder `target`,
    with the tokenizer in the folder `tokenizer`.

    Raises `UserError` as `look_at` does.
    """
    client = Client(parse_endpoint(teacher.model).url, access)
    try:
        own = load_tokenizer(tokenizer)
        address = parse_endpoint(teacher.model)
        served = look_at(client, address, Encoder(own, 0), teacher.endpoint)
    finally:
        client.close()
    return write_endpoint(target, served, own)


def write_endpoint(folder: Path, served: Served, tokenizer: PreTrainedTokenizerBase) -> TeacherInfo:
    """Fill `folder`; `fingerprint` of what is returned is of the server and the tokenizer, and
    what counts weights is 0."""
    served.write(folder)
    config: dict[str, object] = {"architectures": [ARCHITECTURE]}
    if served.context:
        # One token less: who is asked about a prompt is made to write one behind it.
        config["max_position_embeddings"] = served.context - 1
    write_json(folder / "config.json", config)
    tokenizer.save_pretrained(folder)
    ensure_padding(folder)
    return TeacherInfo(
        architecture=ARCHITECTURE,
        parameters=0,
        layers=0,
        hidden_size=0,
        vocabulary=len(load_tokenizer(folder)),
        bytes=0,
        fingerprint=digest(served.identity, tokenizer_fingerprint(folder)),
    )
