"""What an encoder is taught by: an objective, with whatever it needs beside the encoder."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


class Objective(ABC):
    """Teaches an encoder on batches of pictures; made of (encoder, pictures, pictures a batch, steps in all)."""

    @property
    @abstractmethod
    def parts(self) -> Mapping[str, nn.Module]:
        """Everything that is trained or kept between interruptions, by name."""

    @property
    @abstractmethod
    def result(self) -> Any:
        """The encoder that is saved in the end."""

    @abstractmethod
    def losses(self, step: int, rng: random.Random) -> Mapping[str, Tensor]:
        """The loss of one batch as "total", and what else is worth logging."""
