"""Loading models safely, and the parts of them that others work on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.errors import UserError
from stillhouse.models import precision
from stillhouse.progress import no_bars
from stillhouse.storage.files import read_json

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def pick_device() -> torch.device:
    """The first CUDA device, else the CPU."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def pick_dtype(device: torch.device) -> torch.dtype:
    """What to compute in: bfloat16 where it is faster, else float32 (see `precision`)."""
    return precision.fast_dtype(device)


def load_model(folder: Path, device: torch.device, dtype: torch.dtype) -> PreTrainedModel:
    """A causal LM from a local folder of safetensors, in evaluation mode."""
    import torch
    from transformers import AutoModelForCausalLM

    with no_bars():
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
        )
        model = model.to(device).eval()
        if getattr(model, "hf_quantizer", None) is not None:
            # A quantized model unpacks its weights when it is first called as a whole; what comes
            # later calls its decoder.
            with torch.inference_mode():
                model(input_ids=torch.zeros(1, 1, dtype=torch.long, device=device))
    return model


def stored_dtype(folder: Path) -> torch.dtype:
    """The floating-point type that the weights in `folder` are stored in."""
    import torch

    named = read_json(folder / "config.json").get("dtype") or "float32"
    found: torch.dtype = getattr(torch, named)
    return found


def context_length(folder: Path) -> int | None:
    """How many tokens the model in `folder` takes at most, where its configuration says so."""
    config = read_json(folder / "config.json")
    found = {**config, **config.get("text_config", {})}.get("max_position_embeddings")
    return int(found) if found else None


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)


def output_weight(model: PreTrainedModel) -> torch.Tensor:
    """The output embedding [vocabulary, hidden], tied to the input embedding or not.

    Logits are taken to be `hidden @ weight.T`; raises `UserError` for models that scale or cap
    them, whose loss would silently be another one.
    """
    for field, neutral in (("final_logit_softcapping", None), ("logits_scaling", 1.0)):
        if getattr(model.config, field, neutral) not in (neutral, None):
            raise UserError(
                f"{model.config.name_or_path}: config.json: {field} changes the logits, which "
                "the distillation loss does not do",
                remedy="use a teacher without logit capping or scaling.",
            )
    weight: torch.Tensor = model.get_output_embeddings().weight
    return weight
