"""What commands import, imported once: see `forked`. No test imports this."""

from __future__ import annotations

import gc
import importlib
import warnings
from pathlib import Path

from stillhouse.offline import go_offline
from stillhouse.threads import be_considerate
from tests.unsynced import never_wait_for_the_disk

# What the definitions import, not themselves, which are those of one project; and what is imported
# where a model is loaded, learns, answers and is shown.
MODULES = (
    *("dagster", "stillhouse.cli.main", "duckdb", "pyarrow.parquet", "scipy.stats", "datasets"),
    *("transformers.models.auto.modeling_auto", "transformers.models.auto.tokenization_auto"),
    *("transformers.models.llama.modeling_llama", "transformers.modeling_utils", "peft"),
    *("sklearn.metrics", "sklearn.feature_extraction.text", "matplotlib.figure", "jinja2"),
    *("stillhouse.training.loop", "stillhouse.lm.generation", "fastapi", "uvicorn"),
)
ROOMS = ("stillhouse.assets", "stillhouse.sensors", "stillhouse.schedules")

go_offline()
never_wait_for_the_disk()
be_considerate()
with warnings.catch_warnings(action="ignore"):  # told once more, to each command
    for name in MODULES:
        importlib.import_module(name)
    for room in ROOMS:
        for file in Path(str(importlib.import_module(room).__file__)).parent.glob("[!_]*.py"):
            importlib.import_module(f"{room}.{file.stem}")
gc.freeze()  # what is shared stays so: a fork that looked through it would copy it
