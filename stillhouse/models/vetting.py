"""May these files be opened at all, and are they one whole model? Asked before anything is read.

Nothing of a model's own is executed: pickled weights and models that bring Python code are refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.errors import UserError
from stillhouse.models.loading import load_tokenizer
from stillhouse.models.sources import files_of
from stillhouse.models.weights import IncompleteError, no_number, require_whole, weight_files
from stillhouse.progress import track
from stillhouse.storage.files import read_json

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")

# A tokenizer that names fewer of the embedding's rows is another model's. Rows are padded to round
# numbers, by 2 % at most in the models known here.
LEAST_NAMED = 0.5


def vet_folder(model: str, source: Path) -> tuple[dict[str, Any], PreTrainedTokenizerBase]:
    """The configuration and the tokenizer of the safetensors model in `source`.

    Raises `UserError` for models with code of their own, other models than causal LMs, files that
    are missing or cut short, and a tokenizer that is another model's.
    """
    config = _read_config(source / "config.json")
    _refuse_unsafe(model, config)
    _require_causal(model, config)
    require_whole(source)
    tokenizer = _read_tokenizer(model, source)
    require_fitting(model, tokenizer, config)
    return config, tokenizer


def require_fitting(model: str, tokenizer: PreTrainedTokenizerBase, config: dict[str, Any]) -> None:
    """Raise `UserError` when the tokenizer can't be this model's.

    Words beyond the embedding would crash it; special tokens may lie there (Gemma 3 has one), as no
    text becomes one.
    """
    settings = {**config, **(config.get("text_config") or {})}
    rows, vocabulary = settings.get("vocab_size"), tokenizer.get_vocab()
    if not isinstance(rows, int):
        return
    special = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    known = set(vocabulary.values())
    beyond = [i for i in known if i >= rows and i not in special]
    ends = [settings.get(f"{name}_token_id") for name in ("bos", "eos")]
    lacking = [i for x in ends for i in (x if isinstance(x, list) else [x]) if i not in known]
    lacking = [i for i in lacking if isinstance(i, int) and i >= 0]
    reason = None
    if beyond:
        reason = f"it numbers tokens up to {max(beyond)}, and the embedding has {rows} rows"
    elif lacking:
        reason = f"config.json names token {lacking[0]} as a beginning or end, and it has none"
    elif len(known) < LEAST_NAMED * rows:
        reason = f"it knows {len(known)} tokens, and the embedding has {rows} rows"
    if reason:
        raise UserError(
            f"teachers[].model: {model}: its tokenizer is another model's ({reason})",
            remedy="bring the tokenizer's files and config.json of the very model again.",
        )


def require_numbers(model: str, folder: Path) -> None:
    """Raise `UserError` when a weight in `folder` is infinite or no number; reads all of them."""
    for file in track(weight_files(folder), "Reading the weights", unit="files"):
        require_number_in(model, file)


def require_number_in(model: str, file: Path) -> None:
    """`require_numbers` of one file; of any but safetensors nothing is asked."""
    if file.suffix == ".safetensors" and (name := no_number(file)) is not None:
        raise UserError(
            f"teachers[].model: {model}: {file.name}: {name} has weights that are infinite or no "
            "numbers (NaN)",
            remedy="bring the file again; if it comes like that, the model is broken where it was "
            "made.",
        )


def find_gguf(model: str, source: Path) -> Path | None:
    """The one .gguf file of `source`, or None for a folder of safetensors."""
    if source.is_file():
        if source.suffix == ".gguf":
            return source
        raise UserError(
            f"teachers[].model: {model}: {source.name} is neither a folder nor a .gguf file",
            remedy="name the folder that holds config.json and *.safetensors.",
        )
    if weight_files(source) and (source / "config.json").exists():
        return None
    mine = files_of(source)
    found = [file for file in mine if file.suffix == ".gguf"]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(file.name for file in found)
        raise UserError(
            f"teachers[].model: {model}: {source} holds several models ({names})",
            remedy="name one of the .gguf files.",
        )
    if any(file.match(pattern) for pattern in PICKLES for file in mine):
        raise UserError(
            f"teachers[].model: {model}: {source} has pickled weights only, which can run any "
            "code when they are opened",
            remedy="take the safetensors of the same model, or convert them on a machine you can "
            "spare (`save_pretrained` writes safetensors).",
        )
    raise IncompleteError(
        f"teachers[].model: {model}: no weights in {source}",
        remedy="name a folder with config.json and *.safetensors, or a .gguf file.",
    )


def _refuse_unsafe(model: str, config: dict[str, Any]) -> None:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    if "auto_map" in config and config.get("model_type") not in CONFIG_MAPPING_NAMES:
        raise UserError(
            f"teachers[].model: {model}: config.json asks for Python code of the model's own "
            "(`auto_map`), which is never run here",
            remedy="take a model that transformers supports itself.",
        )


def _require_causal(model: str, config: dict[str, Any]) -> None:
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    kind = config.get("model_type")
    if kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES or config.get("is_encoder_decoder"):
        raise UserError(
            f"teachers[].model: {model}: config.json: model_type `{kind}` is not a causal "
            "language model that transformers knows",
            remedy="take a decoder-only model (Llama, Qwen, Mistral, SmolLM, ...).",
        )


def _read_config(file: Path) -> dict[str, Any]:
    try:
        config = read_json(file)
    except ValueError:
        config = None
    if not isinstance(config, dict):
        raise IncompleteError(f"{file}: not JSON, or cut short", remedy="bring the file again.")
    return config


def _read_tokenizer(model: str, source: Path) -> PreTrainedTokenizerBase:
    try:
        return load_tokenizer(source)
    except Exception as error:  # tokenizers raises nothing more special
        reason = (str(error).splitlines() or [""])[0]
        raise IncompleteError(
            f"teachers[].model: {model}: its tokenizer can't be read ({reason})",
            remedy="bring tokenizer.json and tokenizer_config.json of the model again.",
        ) from error
