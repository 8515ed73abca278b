"""What is known of a teacher that a server runs, before the server is asked: its address, its
model's id, the tokenizer that the project file names.

`model: openai:http://10.0.0.5:8000/v1#qwen3-32b` is a server that speaks OpenAI's HTTP interface
(vLLM, SGLang, TGI and others). Nothing of its weights is here; of its tokenizer all is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from stillhouse.config.endpoint import PREFIX
from stillhouse.config.teacher import Teacher
from stillhouse.errors import UserError
from stillhouse.internal import host_and_port
from stillhouse.models.fetch import default_cache, locate
from stillhouse.models.importing import tokenizer_fingerprint
from stillhouse.storage.files import digest

FIELD = "teachers[].model"


@dataclass(frozen=True)
class Address:
    """`url` is where the interface begins, without a slash at its end; `model` is what the server
    calls the model."""

    url: str
    model: str


def parse_endpoint(model: str) -> Address:
    """`model:` of an endpoint taken apart; raises `UserError` when it is none."""
    url, _, name = model.removeprefix(PREFIX).partition("#")
    # No word of what stands there: a key may be among it.
    if "@" in urlsplit(url).netloc or "?" in url:
        raise UserError(
            f"{FIELD}: an endpoint's address holds a name, a password or a query",
            remedy="leave them out, and say where the key is to be had: "
            "`endpoint: {api_key: {env: NAME}}`.",
        )
    host_and_port(url, FIELD)
    if not name:
        raise UserError(
            f"{FIELD}: `{model}` does not say which of the server's models it is",
            remedy="write its id behind a #, as in openai:http://127.0.0.1:8000/v1#qwen3-32b; the "
            "server lists them at /v1/models.",
        )
    return Address(url.rstrip("/"), name)


def tokenizer_folder(teacher: Teacher, root: Path, registry: Path | None) -> Path:
    """The folder with the tokenizer of an endpoint's model; raises `UserError` where there is
    none."""
    named = str(teacher.tokenizer)
    folder = locate(named, default_cache(), root, registry)
    if not (folder / "tokenizer.json").is_file():
        raise UserError(
            f"teachers[].tokenizer: {folder} holds no tokenizer.json",
            remedy="bring tokenizer.json and tokenizer_config.json of the model that the server "
            "runs (with chat_template.jinja, where it has one); no weights are needed.",
        )
    return folder


def endpoint_digest(teacher: Teacher, root: Path, registry: Path | None) -> str:
    """Of what makes an endpoint the teacher that it is, as far as the project says it: address,
    model id, how tokens are drawn, tokenizer. The server is not asked."""
    folder = tokenizer_folder(teacher, root, registry)
    return digest(teacher.model, teacher.endpoint.identity, tokenizer_fingerprint(folder))
