"""Where everything lies below a project's data directory: the one place that knows the paths."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """Paths below the data directory `root`; nothing here creates them."""

    root: Path

    def table(self, asset: str) -> Path:
        """The Parquet file of an asset's table; `tables/<asset>/*.parquet` is the public form."""
        return self.root / "tables" / asset / "data.parquet"

    def quarantine(self, stage: str) -> Path:
        return self.root / "tables" / "quarantine" / f"{stage}.parquet"

    def staging(self, asset: str) -> Path:
        """Finished batches of a table under way; outside `tables/`, whose globs must not see it."""
        return self.root / "staging" / asset

    def teacher(self, version: str) -> Path:
        return self.root / "teachers" / version

    def teacher_weights(self, version: str) -> Path:
        return self.teacher(version) / "model"

    def adapted_teacher(self, version: str) -> Path:
        return self.teacher(version) / "adapted"

    def soft_labels(self, version: str) -> Path:
        return self.teacher(version) / "soft_labels"

    def student(self, name: str, version: str) -> Path:
        return self.root / "students" / name / version / "current"

    def cache(self, name: str) -> Path:
        return self.root / "cache" / name

    def key(self, name: str) -> Path:
        """A secret key file; only its owner may read it."""
        return self.root / "keys" / f"{name}.key"

    @property
    def vault(self) -> Path:
        """Encrypted originals of the pseudonyms; apart from the tables, under a key of its own."""
        return self.root / "vault"

    @property
    def dagster_home(self) -> Path:
        """$DAGSTER_HOME when it is set, else `<data_dir>/dagster`."""
        named = os.environ.get("DAGSTER_HOME")
        return Path(named) if named else self.root / "dagster"
