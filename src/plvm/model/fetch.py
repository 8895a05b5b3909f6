"""Hub ids -> folders on this machine. Whatever keeps a repository from being had is said in words.

The Hub's own client downloads, resumes and caches; it reads its own settings (HF_HOME, HF_HUB_OFFLINE, a token of `hf auth
login`), and nothing is fetched but what is named here: configs, safetensors and tokenizer files.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from plvm.errors import CheckpointError

WEIGHTS = "*.safetensors"
PATTERNS = ("*.json", WEIGHTS, "*.jinja", "*.txt", "tokenizer.model")
_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_HUB = "https://huggingface.co"


def is_hub_id(name: str | Path) -> bool:
    """Whether `name` can be a repository "owner/name" of the Hub and is no folder here."""
    return _ID.fullmatch(str(name)) is not None and not Path(name).exists()


def fetch(name: str, *, offline: bool = False, only: Sequence[str] = PATTERNS) -> Path:
    """The folder of the repository `name`, downloaded unless it is in the Hub's cache; with `offline` it must be there. `only`
    files of these names or patterns are fetched.

    Raises CheckpointError, which says whether the repository is missing, closed, or only out of reach.
    """
    from huggingface_hub import errors, snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=list(only), local_files_only=offline))
    except errors.GatedRepoError:
        message, hint = (
            "is gated: its owners want its terms accepted.",
            (f"Accept them at {_HUB}/{name}, then run `hf auth login` with a token that may read it."),
        )
    except errors.RepositoryNotFoundError:
        message, hint = (
            "is neither a folder here nor a repository of the Hugging Face Hub that you may see.",
            ("Check the spelling; for a private one, run `hf auth login` first."),
        )
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, errors.CacheNotFound):
        message, hint = (
            "is neither a folder here nor in the cache of the Hugging Face Hub, and the Hub is out of reach.",
            (f"Run `hf download {name}` where there is a network, or turn offline mode off (HF_HUB_OFFLINE)."),
        )
    except errors.HFValidationError as error:
        message, hint = f"is neither a folder here nor a Hub id ({error}).", "Write it as owner/name."
    except Exception as error:  # the network, the disk and the Hub's client have many errors
        reason = next(iter(str(error).strip().splitlines()), "")
        message, hint = (
            f"cannot be had from the Hugging Face Hub ({type(error).__name__}: {reason[:200]}).",
            ("Check the network and the space on the disk; what was downloaded is kept, so just try again."),
        )
    raise CheckpointError(f"{name} {message}", hint)
