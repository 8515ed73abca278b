"""The measures of a model that memory is made of, from its headers: no weight is read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from stillhouse.errors import UserError
from stillhouse.models.described import TOKENS
from stillhouse.models.gguf import read_metadata
from stillhouse.models.vetting import find_gguf
from stillhouse.models.weights import tensor_headers, weight_files
from stillhouse.storage.files import read_json

FLOATS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
UNPACKED_GGUF = 2  # bytes a weight that the import writes (see `import_teacher`)


@dataclass(frozen=True)
class Shape:
    """A decoder: `hidden` is its width, `inner` that of the feed-forward part, `queries` and `keys`
    those of a layer's queries and of its keys or values. `stored` are bytes a weight as it lies on
    disk after import, `tied` where one embedding serves input and output, `normed` where queries
    and keys have norms of their own (Qwen3)."""

    layers: int
    hidden: int
    inner: int
    queries: int
    keys: int
    vocabulary: int
    tied: bool
    stored: int = 2
    context: int | None = None
    normed: bool = False

    @property
    def embedding(self) -> int:
        """Weights of one embedding."""
        return self.vocabulary * self.hidden

    @property
    def embeddings(self) -> int:
        return self.embedding if self.tied else 2 * self.embedding

    @property
    def layer(self) -> int:
        """Weights of the linear modules of a layer, and its two norms."""
        attention = 2 * self.hidden * (self.queries + self.keys)
        return attention + 3 * self.hidden * self.inner + 2 * self.hidden

    @property
    def parameters(self) -> int:
        return self.embeddings + self.layers * self.layer + self.hidden

    def adapters(self, rank: int, layers: int) -> int:
        """Weights of LoRA's matrices on all linear modules of so many layers."""
        inputs = 4 * self.hidden + 2 * (self.queries + self.keys) + 3 * (self.hidden + self.inner)
        return rank * layers * inputs

    def cut(self, layers: int | Literal["all"], vocabulary: int | None = None) -> Shape:
        """A student of this model. Raises `UserError` where the model has fewer layers."""
        layers = self.layers if layers == "all" else layers
        if layers > self.layers:
            raise UserError(
                f"students[].init.layers: {layers}, but what it begins as has {self.layers}",
                remedy=f"set `layers` to a number from 1 to {self.layers}.",
            )
        return replace(self, layers=layers, vocabulary=vocabulary or self.vocabulary)


def shape_of(model: str, source: Path) -> Shape:
    """That of the model in `source`, a folder or a .gguf file.

    Raises `UserError` where it is none, or its headers don't say what is asked.
    """
    gguf = find_gguf(model, source)
    try:
        return _of_folder(source) if gguf is None else _of_gguf(gguf)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"teachers[].model: {model}: its headers don't say how large its layers are ({error})",
            remedy="take a decoder-only model (Llama, Qwen, Mistral, SmolLM, ...).",
        ) from None


def _of_folder(folder: Path) -> Shape:
    config = read_json(folder / "config.json")
    config = {**config, **(config.get("text_config") or {})}
    heads, hidden = int(config["num_attention_heads"]), int(config["hidden_size"])
    width = int(config.get("head_dim") or hidden // heads)
    headers = [tensor_headers(file) for file in weight_files(folder)]
    kinds = {header["dtype"] for found in headers for header in found.values()}
    return Shape(
        layers=int(config["num_hidden_layers"]),
        hidden=hidden,
        inner=int(config["intermediate_size"]),
        queries=heads * width,
        keys=int(config.get("num_key_value_heads") or heads) * width,
        vocabulary=int(config["vocab_size"]),
        tied=not any("lm_head.weight" in found for found in headers),
        stored=max((FLOATS[kind] for kind in kinds if kind in FLOATS), default=2),
        context=config.get("max_position_embeddings"),
        normed=any("q_norm" in name for found in headers for name in found),
    )


def _of_gguf(file: Path) -> Shape:
    found: dict[str, Any] = read_metadata(file, TOKENS)
    kind = found["general.architecture"]

    def value(name: str, default: Any = None) -> int:
        number = found.get(f"{kind}.{name}", default)
        # Some files give a number a layer.
        return int(max(number) if isinstance(number, list) else number)

    heads, hidden = value("attention.head_count"), value("embedding_length")
    width = value("attention.key_length", hidden // heads)
    names = _tensors(file)
    return Shape(
        layers=value("block_count"),
        hidden=hidden,
        inner=value("feed_forward_length"),
        queries=heads * width,
        keys=value("attention.head_count_kv", heads) * width,
        vocabulary=len(found[TOKENS]),
        tied="output.weight" not in names,
        stored=UNPACKED_GGUF,
        context=value("context_length", 0) or None,
        normed="blk.0.attn_q_norm.weight" in names,
    )


def _tensors(file: Path) -> set[str]:
    from gguf import GGUFReader

    return {tensor.name for tensor in GGUFReader(file).tensors}
