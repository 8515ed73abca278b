"""A GGUF file as a plain Hugging Face folder.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. transformers unpacks the
weights. The byte-level tokenizers are built here from the file's own arrays, because transformers
5.17 ignores `tokenizer.ggml.pre` (which decides where text is split before any merge) and takes
the end-of-text token from elsewhere than the file says.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.errors import UserError
from stillhouse.models.gguf_header import read_header

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

logger = logging.getLogger("stillhouse")

# `general.file_type` of files whose tensors are not quantized (llama.cpp's `llama_ftype`).
FLOAT_FILE_TYPES = {0: "float32", 32: "bfloat16"}

# `tokenizer.ggml.token_type`
CONTROL, USER_DEFINED = 3, 4

# Where each `tokenizer.ggml.pre` splits text: at GPT-2's pattern; at that after every digit stands
# alone; or at a pattern of the model family's own.
GPT2 = ("default", "gpt-2")
SINGLE_DIGITS = ("smollm", "starcoder", "refact", "command-r", "codeshell")
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PATTERNS = {
    "llama-bpe": WORDS % r"\p{N}{1,3}",
    "llama3": WORDS % r"\p{N}{1,3}",
    "qwen2": WORDS % r"\p{N}",
    "deepseek-r1-qwen": WORDS % r"\p{N}",
}


def unpack_gguf(file: Path, folder: Path) -> None:
    """Write model, tokenizer and generation settings of `file` into `folder`.

    Raises `UserError` for architectures and tokenizers that can't be read, and when a weight is
    missing.
    """
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    metadata = read_metadata(file, "tokenizer.ggml.tokens", "tokenizer.ggml.merges")
    tokenizer = _tokenizer(file, metadata)
    with _parsed_once():
        model = _model(file, metadata)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def read_metadata(file: Path, *arrays: str) -> dict[str, Any]:
    """The keys and values of a GGUF file's header; of arrays of strings, those asked for.

    Raises `UserError` when the header can't be read. No weights are read.
    """
    try:
        return read_header(file, arrays)
    except (ValueError, OSError) as error:
        raise UserError(
            f"{file}: not a GGUF file, or cut short ({error})", remedy="bring the file again."
        ) from None


@contextmanager
def _parsed_once() -> Iterator[None]:
    """Keep the parsed file and table of names while transformers asks for them again and again.

    It parses the file for the configuration and once more for the weights, and builds the table
    anew for each module: 10 of 27 s with a model of 30 layers.
    """
    import gguf

    functions = ("GGUFReader", "get_tensor_name_map")
    originals = {name: getattr(gguf, name) for name in functions}
    try:
        for name, function in originals.items():
            setattr(gguf, name, functools.cache(function))
        yield
    finally:
        for name, function in originals.items():
            setattr(gguf, name, function)


def _model(file: Path, metadata: dict[str, Any]) -> PreTrainedModel:
    import torch

    dtype = getattr(torch, FLOAT_FILE_TYPES.get(metadata.get("general.file_type", -1), "float16"))
    model = _load(file, dtype)
    if dtype == torch.float16 and not all(torch.isfinite(p).all() for p in model.parameters()):
        logger.info("%s: a weight is out of float16's range; unpacking to bfloat16", file.name)
        model = _load(file, torch.bfloat16)
    return model


def _load(file: Path, dtype: torch.dtype) -> PreTrainedModel:
    from transformers import AutoModelForCausalLM, GgufConfig

    try:
        model, loading = AutoModelForCausalLM.from_pretrained(
            file.parent,
            gguf_file=file.name,
            quantization_config=GgufConfig(gguf_file=file.name, dequantize=True),
            dtype=dtype,
            output_loading_info=True,
            local_files_only=True,
            trust_remote_code=False,
        )
    except ValueError as error:
        raise UserError(
            f"{file}: transformers can't read this GGUF model: {error}",
            remedy="bring the file again, in case it is cut short, or take the safetensors of the "
            "same model.",
        ) from error
    if missing := sorted(loading["missing_keys"]):
        raise UserError(
            f"{file}: {len(missing)} weights are missing ({missing[0]}, ...)",
            remedy="take the safetensors of the same model.",
        )
    # Without these two, what is saved calls itself a GGUF model and can't be loaded.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    return model


def _tokenizer(file: Path, metadata: dict[str, Any]) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    if metadata.get("tokenizer.ggml.model") != "gpt2":
        return AutoTokenizer.from_pretrained(
            file.parent, gguf_file=file.name, local_files_only=True, trust_remote_code=False
        )
    tokens = metadata["tokenizer.ggml.tokens"]
    named = {
        f"{name}_token": tokens[metadata[f"tokenizer.ggml.{key}_token_id"]]
        for name, key in (("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding"))
        if f"tokenizer.ggml.{key}_token_id" in metadata
    }
    return PreTrainedTokenizerFast(
        tokenizer_object=_byte_level_bpe(file, metadata),
        clean_up_tokenization_spaces=False,
        model_max_length=metadata.get(f"{metadata['general.architecture']}.context_length"),
        chat_template=metadata.get("tokenizer.chat_template"),
        **named,
    )


def _byte_level_bpe(file: Path, metadata: dict[str, Any]) -> Tokenizer:
    from tokenizers import AddedToken, Tokenizer, decoders, models, processors

    tokens = metadata["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in metadata["tokenizer.ggml.merges"]]
    pre = metadata.get("tokenizer.ggml.pre", "default")
    # Llama 3 looks whole words up before it merges.
    whole_words = pre in ("llama-bpe", "llama3")
    vocabulary = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, ignore_merges=whole_words))
    tokenizer.pre_tokenizer = _splitting(file, pre)
    tokenizer.decoder = decoders.ByteLevel()
    types = metadata.get("tokenizer.ggml.token_type", [])
    tokenizer.add_tokens(
        [
            AddedToken(token, special=kind == CONTROL, normalized=False)
            for token, kind in zip(tokens, types, strict=False)
            if kind in (CONTROL, USER_DEFINED)
        ]
    )
    if metadata.get("tokenizer.ggml.add_bos_token"):
        start = metadata["tokenizer.ggml.bos_token_id"]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{tokens[start]} $A",
            pair=f"{tokens[start]} $A {tokens[start]}:1 $B:1",
            special_tokens=[(tokens[start], start)],
        )
    return tokenizer


def _splitting(file: Path, pre: str) -> Any:
    from tokenizers import Regex, pre_tokenizers

    gpt2 = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if pre in GPT2:
        return gpt2
    if pre in SINGLE_DIGITS:
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), gpt2])
    if pre in PATTERNS:
        words = pre_tokenizers.Split(Regex(PATTERNS[pre]), behavior="isolated")
        return pre_tokenizers.Sequence(
            [words, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
        )
    raise UserError(
        f"{file}: the tokenizer splits text in a way not known here (tokenizer.ggml.pre: {pre})",
        remedy="take the safetensors and tokenizer.json of the same model.",
    )
