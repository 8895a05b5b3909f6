"""Model folders: a trained Aligner and the frozen parts it names, saved and loaded; nothing is ever unpickled.

    aligner/
      aligner.safetensors   the trained weights
      config.json           AlignerConfig: shapes, and which backbone and encoder it was trained on
      template.json         how prompts are written: chat cannot use another template than training did
      training.json         the record of how it was made

Every file is checked when it is read; whatever is missing, damaged, unknown or of another version becomes a CheckpointError.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from plvm.errors import CheckpointError
from plvm.model.aligner import Aligner, AlignerConfig, build_aligner
from plvm.model.backbone import Backbone
from plvm.model.encoder import Encoder
from plvm.prompt import Template
from plvm.types import nearest_names

VERSION = 1
WEIGHTS, CONFIG, TEMPLATE, TRAINING = "aligner.safetensors", "config.json", "template.json", "training.json"
FILES = (WEIGHTS, CONFIG, TEMPLATE, TRAINING)

T = TypeVar("T")
