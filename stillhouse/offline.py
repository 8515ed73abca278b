"""The switches that keep every library off the network.

Who would call out, and what stops it:

======================  =========================================  ==============================
Library                 What it would send or fetch                Stopped by
======================  =========================================  ==============================
unstructured            a ping at import and after every file      DO_NOT_TRACK, SCARF_NO_ANALYTICS
unstructured            a usage notice on the terminal             UNSTRUCTURED_DISABLE_NOTICE
unstructured            a spaCy model, which it also installs      corpus/parse/ hands it ours
RapidOCR                a model that it lacks                       corpus/parse/ocr.py names ours
onnxruntime             usage events                               ORT_DISABLE_TELEMETRY
Dagster                 usage events                               DAGSTER_DISABLE_TELEMETRY
Presidio                a spaCy model that it lacks                corpus/pii/ loads it itself
Presidio (tldextract)   the public suffix list, at an e-mail       corpus/pii/ does without it
Hugging Face libraries  model files; user agent details            HF_HUB_OFFLINE and its kin
Ray, vLLM (if present)  usage events                               RAY_USAGE_STATS_ENABLED,
                                                                   VLLM_NO_USAGE_STATS
======================  =========================================  ==============================

One connection is opened on purpose: to the server of a teacher that the project file names, at an
address of the internal network (see endpoint/client.py).

Telemetry is off whatever the environment says. The Hugging Face switches are defaults: who sets
`HF_HUB_OFFLINE=0` fetches a teacher on purpose.
"""

from __future__ import annotations

import logging
import os
import sys

logger = logging.getLogger("stillhouse")

TELEMETRY_OFF = {
    "DO_NOT_TRACK": "1",
    "SCARF_NO_ANALYTICS": "true",
    "UNSTRUCTURED_DISABLE_NOTICE": "1",
    "ORT_DISABLE_TELEMETRY": "1",
    "DAGSTER_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "VLLM_NO_USAGE_STATS": "1",
}

OFFLINE_DEFAULTS = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
}

# These read their switch once, at import.
READ_AT_IMPORT = {
    "huggingface_hub": "HF_HUB_OFFLINE",
    "unstructured": "DO_NOT_TRACK",
    "onnxruntime": "ORT_DISABLE_TELEMETRY",
}


def go_offline() -> None:
    """Set every switch for this process and the ones it starts; call it before other imports."""
    late = [
        library
        for library, switch in READ_AT_IMPORT.items()
        if library in sys.modules and switch not in os.environ
    ]
    os.environ.update(TELEMETRY_OFF)
    for name, value in OFFLINE_DEFAULTS.items():
        os.environ.setdefault(name, value)
    if late:
        logger.warning(
            "%s: imported before go_offline(), which comes too late for it", ", ".join(late)
        )
