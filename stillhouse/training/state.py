"""What a training run needs to go on after a kill: weights, optimizer moments, counters.

Two safetensors files and a JSON file in a folder that is replaced as a whole; the best epoch's
weights lie in a folder of their own, so that an ordinary save needn't write them again.
"""

from __future__ import annotations

import logging
import math
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.storage.files import atomic_dir, read_json, remove_leftovers, write_json

if TYPE_CHECKING:
    import torch

logger = logging.getLogger("stillhouse")


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
        """The state saved in `folder` under `fingerprint`, loaded; else a fresh one.

        A state of another fingerprint, or one that is damaged, is removed.
        """
        state = cls(folder, fingerprint, parameters, optimizer)
        if folder.exists():
            remove_leftovers(folder)  # puts back what a save killed between two renames left
            if not state._resume():
                for name in ("last", "best"):  # others keep theirs beside
                    shutil.rmtree(folder / name, ignore_errors=True)
        return state

    def add(self, parts: Mapping[str, float]) -> None:
        for name, value in parts.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def finish_epoch(self, rate: float, validation: Mapping[str, float]) -> dict[str, float]:
        """Close the epoch; remember its weights when its validation score is the best so far."""
        tokens = self.sums.pop("tokens")
        of_term = {"alignment": self.sums.pop("aligned", 0.0)}  # not all steps have it
        self.epoch += 1
        record = {"epoch": float(self.epoch), "learning_rate": rate}
        record.update({n: total / of_term.get(n, tokens) for n, total in self.sums.items()})
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
        self._set_weights(self._read_weights("best"))

    def _resume(self) -> bool:
        """Load what `save` wrote; False, and nothing changed, when it can't be used."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            saved = read_json(self.folder / "last" / "state.json")
            if saved.pop("fingerprint") != self.fingerprint:
                return False
            weights = self._read_weights("last")
            moments = load_file(self.folder / "last" / "optimizer.safetensors")
            if saved["best_epoch"]:
                self._read_weights("best")  # training ends with it
        except FileNotFoundError:
            return False
        except (OSError, ValueError, LookupError, TypeError, AttributeError, SafetensorError):
            logger.warning("The saved state of a training can't be read: it starts again")
            return False
        for name, value in saved.items():
            setattr(self, name, value)
        if not self.history:
            self.best_score = -math.inf
        self._set_weights(weights)
        self._set_moments(moments)
        return True

    def _save_weights(self, folder: Path) -> None:
        from safetensors.torch import save_file

        weights = {n: p.detach().contiguous() for n, p in self.parameters.items()}
        save_file(weights, folder / "weights.safetensors")

    def _read_weights(self, name: str) -> dict[str, torch.Tensor]:
        """Raises `LookupError` when they are those of another model."""
        from safetensors.torch import load_file

        found = load_file(self.folder / name / "weights.safetensors")
        if {n: w.shape for n, w in found.items()} != {
            n: p.shape for n, p in self.parameters.items()
        }:
            raise LookupError(name)
        return found

    def _set_weights(self, weights: Mapping[str, torch.Tensor]) -> None:
        import torch

        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(weights[name])

    def _set_moments(self, saved: Mapping[str, torch.Tensor]) -> None:
        moments: dict[str, dict[str, torch.Tensor]] = {}
        for key, value in saved.items():
            name, moment = key.rsplit("/", 1)
            moments.setdefault(name, {})[moment] = value
        for name, parameter in self.parameters.items():
            if name in moments:
                # The step count too: a fused optimizer wants it beside the parameter.
                self.optimizer.state[parameter] = {
                    moment: value.to(parameter.device) for moment, value in moments[name].items()
                }
