"""What a training run needs to go on after a kill: weights, optimizer moments, counters.

Two safetensors files and a JSON file in a folder that is replaced as a whole; the best epoch's
weights lie in a folder of their own, so that an ordinary save needn't write them again.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.storage.files import atomic_dir, read_json, write_json

if TYPE_CHECKING:
    import torch


class TrainingState:
    """Counters of the loop, and the trained `parameters` and `optimizer` they belong to."""

    def __init__(
        self,
        folder: Path,
        fingerprint: str,
        parameters: Mapping[str, torch.nn.Parameter],
        optimizer: torch.optim.Optimizer,
    ) -> None:
        self.folder, self.fingerprint = folder, fingerprint
        self.parameters, self.optimizer = parameters, optimizer
        self.epoch = 0
        self.step_in_epoch = 0
        self.sums: dict[str, float] = {}
        self.history: list[dict[str, float]] = []
        self.best_epoch = 0
        self.best_score = -math.inf
        self.seconds = 0.0
        self._since = time.monotonic()

    @classmethod
    def open(
        cls,
        folder: Path,
        fingerprint: str,
        parameters: Mapping[str, torch.nn.Parameter],
        optimizer: torch.optim.Optimizer,
    ) -> TrainingState:
        """The state saved in `folder` under `fingerprint`, loaded; else a fresh one."""
        state = cls(folder, fingerprint, parameters, optimizer)
        try:
            saved = read_json(folder / "last" / "state.json")
        except OSError:
            saved = {}
        if saved.pop("fingerprint", None) == fingerprint:
            state._load(saved)
        else:
            shutil.rmtree(folder, ignore_errors=True)
        return state

    def add(self, parts: Mapping[str, float]) -> None:
        for name, value in parts.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def finish_epoch(self, rate: float, validation: Mapping[str, float]) -> dict[str, float]:
        """Close the epoch; remember its weights when its validation score is the best so far."""
        tokens = self.sums.pop("tokens")
        self.epoch += 1
        record = {"epoch": float(self.epoch), "learning_rate": rate}
        record.update({name: total / tokens for name, total in self.sums.items()})
        record.update({f"validation_{name}": value for name, value in validation.items()})
        self.seconds += time.monotonic() - self._since
        record["seconds"] = self.seconds
        self.history.append(record)
        if validation["score"] > self.best_score:
            self.best_epoch, self.best_score = self.epoch, validation["score"]
            with atomic_dir(self.folder / "best") as folder:
                self._save_weights(folder)
        self.step_in_epoch, self.sums, self.seconds = 0, {}, 0.0
        self._since = time.monotonic()
        return record

    def stopped_early(self, patience: int) -> bool:
        return self.epoch - self.best_epoch >= patience and self.epoch > 0

    def save(self) -> None:
        from safetensors.torch import save_file

        with atomic_dir(self.folder / "last") as folder:
            self._save_weights(folder)
            moments = {
                f"{name}/{moment}": value.contiguous()
                for name, parameter in self.parameters.items()
                for moment, value in self.optimizer.state.get(parameter, {}).items()
            }
            save_file(moments, folder / "optimizer.safetensors")
            write_json(
                folder / "state.json",
                {
                    "fingerprint": self.fingerprint,
                    "epoch": self.epoch,
                    "step_in_epoch": self.step_in_epoch,
                    "sums": self.sums,
                    "history": self.history,
                    "best_epoch": self.best_epoch,
                    "best_score": self.best_score if self.history else None,
                    "seconds": self.seconds + time.monotonic() - self._since,
                },
            )

    def load_best(self) -> None:
        self._load_weights(self.folder / "best")

    def _load(self, saved: dict) -> None:
        from safetensors.torch import load_file

        for name, value in saved.items():
            setattr(self, name, value)
        if not self.history:
            self.best_score = -math.inf
        self._load_weights(self.folder / "last")
        moments: dict[str, dict[str, torch.Tensor]] = {}
        for key, value in load_file(self.folder / "last" / "optimizer.safetensors").items():
            name, moment = key.rsplit("/", 1)
            moments.setdefault(name, {})[moment] = value
        for name, parameter in self.parameters.items():
            if name in moments:
                # The step count too: a fused optimizer wants it beside the parameter.
                self.optimizer.state[parameter] = {
                    moment: value.to(parameter.device) for moment, value in moments[name].items()
                }

    def _save_weights(self, folder: Path) -> None:
        from safetensors.torch import save_file

        weights = {n: p.detach().contiguous() for n, p in self.parameters.items()}
        save_file(weights, folder / "weights.safetensors")

    def _load_weights(self, folder: Path) -> None:
        import torch
        from safetensors.torch import load_file

        weights = load_file(folder / "weights.safetensors")
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(weights[name])
