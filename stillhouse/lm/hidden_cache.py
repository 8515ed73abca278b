"""Hidden states of texts that are needed again and again, computed once and kept on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.lm.prompts import Example
from stillhouse.progress import track
from stillhouse.storage.files import atomic_file, digest

if TYPE_CHECKING:
    import torch

MAX_CACHE_BYTES = 4 << 30
SHARD_EXAMPLES = 128


class HiddenCache:
    """What `compute` finds for examples, one tensor each in their order, in shards in `folder`.

    Shards stay where they are and are read through memory maps, so that the machine's memory holds
    no more of them than it can spare. The folder's name should say which model and layers they are
    from: only the tokens fed name a text inside.
    """

    def __init__(
        self,
        folder: Path,
        compute: Callable[[Sequence[Example]], Sequence[torch.Tensor]],
        description: str,
    ) -> None:
        self.folder, self.compute, self.description = folder, compute, description
        self._found: dict[str, torch.Tensor] = {}

    @staticmethod
    def fits(examples: Sequence[Example], bytes_a_token: int) -> bool:
        return sum(len(e.ids) for e in examples) * bytes_a_token <= MAX_CACHE_BYTES

    def prepare(self, examples: Sequence[Example]) -> None:
        """Compute what is missing, in shards that survive a kill.

        What is cached of other texts is removed: they left the dataset. The shards that a killed
        call leaves out are made of the same examples as it would have made them of.
        """
        from safetensors.torch import load_file

        self.folder.mkdir(parents=True, exist_ok=True)
        wanted = {_key(e): e for e in examples}
        for shard in sorted(self.folder.glob("*.safetensors")):
            stored = load_file(shard)
            kept = {k: v for k, v in stored.items() if k in wanted}
            if len(kept) < len(stored):
                self._save(kept)
                shard.unlink(missing_ok=True)
            self._found.update(kept)
        missing = [e for k, e in wanted.items() if k not in self._found]
        missing.sort(key=lambda e: -len(e.ids))
        shards = [missing[i : i + SHARD_EXAMPLES] for i in range(0, len(missing), SHARD_EXAMPLES)]
        for chosen in track(shards, self.description, unit="shards"):
            found = self.compute(chosen)
            written = self._save({_key(e): t for e, t in zip(chosen, found, strict=True)})
            self._found.update(load_file(written))

    def __call__(self, examples: Sequence[Example]) -> list[torch.Tensor]:
        """What was found for prepared `examples`."""
        return [self._found[_key(e)] for e in examples]

    def _save(self, found: dict[str, torch.Tensor]) -> Path:
        from safetensors.torch import save_file

        path = self.folder / f"{digest(sorted(found))}.safetensors"
        if found:
            with atomic_file(path) as temporary:
                save_file(found, temporary)
        return path


def _key(example: Example) -> str:
    return digest(example.ids[:-1])
