"""Aligner folders on the Hugging Face Hub, each with a model card that is made from what is known about it.

Loading is `plvm.load("owner/name")`. A card's figures come from result files of this very Aligner, never from memory:
a file that measured another one is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from plvm.errors import CheckpointError, RequestError
from plvm.model.aligner import Aligner
from plvm.model.checkpoint import FAMILIARITY, FILES, fingerprint, load_aligner
from plvm.presence.calibration import FILES as CALIBRATED

CARD = "README.md"
_PARAGRAPHS = """## Intended use

To let a person talk with a frozen vision-language model about people, pets and things of their own, whom they enrol
from one picture. It is not made for finding out who a stranger is, for watching people, or for decisions about them,
and it is not reliable enough for any of these: see the figures, and measure it on pictures like yours.

## Privacy

This repository holds no picture of anyone and no enrolled concept. Concept tokens that are made with it describe a
face: they are biometric data. Enrol people with their consent, keep the concepts where you keep pictures of them, and
remove them with `plvm forget` when you are asked to.
"""


def model_card(folder: str | Path, name: str, results: Sequence[str | Path] = (), licence: str = "") -> str:
    """The model card (Markdown with the Hub's metadata) of an Aligner folder that is published as `name`.

    `results` are summary.json files that `plvm eval` wrote about it; `licence` is the Hub's word for one. Raises
    CheckpointError, and RequestError where a file is no result or measured another Aligner.
    """
    aligner, template, record = load_aligner(folder)
    own = fingerprint(aligner, template)
    measured = [_result(Path(path), own) for path in results]
    parts = [_metadata(aligner, licence), _introduction(aligner, name, own), _training(record), _figures(measured)]
    stated = f"The weights: {licence}." if licence else "No licence is stated for the weights."
    end = f"## Licence\n\n{stated} Backbone and encoder have their own licences and are not in this repository.\n"
    return "\n".join([*parts, _PARAGRAPHS, end])


def push(
    folder: str | Path,
    repo: str,
    *,
    results: Sequence[str | Path] = (),
    licence: str = "",
    private: bool = False,
    upload: bool = True,
) -> str:
    """Write the folder's model card, and upload card and Aligner to the Hub as `repo` ("owner/name"); returns its URL.

    With `upload` off only the card is written. Raises CheckpointError where the folder is no whole Aligner or names
    frozen parts that nobody else has, RequestError where the Hub refuses or cannot be reached.
    """
    folder = Path(folder)
    if not re.fullmatch(r"\w[\w.-]{0,95}/\w[\w.-]{0,95}", repo, re.ASCII):
        raise RequestError(f'"{repo[:100]}" is no name of a repository.', "Name it as owner/name.")
    card = model_card(folder, repo, results, licence)
    aligner, _, record = load_aligner(folder)
    _require_public_parts(folder, aligner)
    if "sha256" in record and not licence:
        raise RequestError(
            "This Aligner was imported from a release that states no licence.",
            "Ask its authors whether you may publish it, then name the licence with --licence.",
        )
    (folder / CARD).write_text(card, encoding="utf-8")
    if upload:
        _upload(folder, repo, private)
    return f"https://huggingface.co/{repo}"


def _upload(folder: Path, repo: str, private: bool) -> None:
    from huggingface_hub import HfApi

    api = HfApi(library_name="plvm")
    try:
        api.create_repo(repo, private=private, exist_ok=True)
        names = [*FILES, *(name for name in (FAMILIARITY, *CALIBRATED) if (folder / name).exists()), CARD]
        api.upload_folder(
            repo_id=repo, folder_path=folder, allow_patterns=names, commit_message="Upload a PLVM Aligner"
        )
    except Exception as error:  # the network, the Hub and its client have many errors
        reason = next(iter(str(error).strip().splitlines()), "")
        raise RequestError(
            f"{repo} cannot be written to the Hugging Face Hub ({type(error).__name__}): {reason[:200]}",
            "Log in with `hf auth login` and a token that may write there, and check the name and the network.",
        ) from None


def _require_public_parts(folder: Path, aligner: Aligner) -> None:
    for part in ("backbone", "encoder"):
        name = getattr(aligner.config, part)
        if name.count("/") != 1 or name.startswith((".", "/", "~")) or (folder / name).exists():
            raise CheckpointError(
                f'Its {part} is "{name}", which nobody else can load.',
                f"Name the {part} by its Hub id in {folder / 'config.json'}; concepts have to be enrolled again then.",
            )


def _result(path: Path, own: str) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        measured = found["system"]["aligner"]
    except (OSError, ValueError, KeyError, TypeError):
        raise RequestError(f"{path} is no result file of `plvm eval`.", "Give its summary.json.") from None
    if measured != own:
        raise RequestError(
            f"{path} measured another Aligner ({str(measured)[:16]}) than this one ({own}).",
            "Measure this one with `plvm eval --model FOLDER --out RESULTS` and give that summary.json.",
        )
    return found


def _metadata(aligner: Aligner, licence: str) -> str:
    models = "".join(f"\n- {json.dumps(name)}" for name in (aligner.config.backbone, aligner.config.encoder))
    lines = ["---", "library_name: plvm", "pipeline_tag: image-text-to-text", f"base_model:{models}"]
    lines += [f"license: {json.dumps(licence)}"] if licence else []
    return "\n".join([*lines, "tags:\n- plvm\n- personalization\n- vision-language-model", "---", ""])


def _introduction(aligner: Aligner, name: str, own: str) -> str:
    config, count = aligner.config, sum(p.numel() for p in aligner.parameters())
    return f"""# {name}

An Aligner for [PLVM](https://arxiv.org/abs/2412.17610): it makes the tokens of a person, pet or thing from one picture,
so that a frozen vision-language model knows them by name. Only these {count:,} parameters were trained.

```python
import plvm
vlm = plvm.load("{name}")
billie = vlm.enroll("billie", "billie.jpg")
print(vlm.ask("party.jpg", "Where is <billie>?", [billie]).text)
```

| | |
|---|---|
| form | {config.architecture}, {config.context_tokens} context tokens |
| backbone, frozen | {config.backbone} |
| encoder, frozen | {config.encoder} |
| fingerprint | `{own}` |
"""


def _training(record: Mapping[str, Any]) -> str:
    if not record:
        return "## Training\n\nNo record of its training was kept.\n"
    source = record.get("source")
    said = f"{source}\n\n" if isinstance(source, str) else ""
    rest = json.dumps({k: v for k, v in record.items() if k != "source"}, indent=2, ensure_ascii=False)
    return f"## Training\n\n{said}The whole record:\n\n```json\n{rest}\n```\n"


def _figures(results: Sequence[Mapping[str, Any]]) -> str:
    if not results:
        return "## Figures\n\nNo result file was given: nothing is claimed about how good it is.\n"
    sections = ["## Figures\n\nShares, with 95 % bootstrap intervals over identities.\n"]
    for found in results:
        rows = [
            f"| {name} | {f['value']:.3f} [{f['low']:.3f}, {f['high']:.3f}] | {f.get('n', '')} |"
            for name, f in intervals(found)
            if name.count(".") < 2 and f["value"] is not None
        ]
        origin = f"`{found.get('command')}`, commit {str(found.get('commit'))[:12]}, seed {found.get('seed')}"
        table = "\n".join(["| figure | value | n |", "|---|---|---|", *rows])
        sections.append(f"Suite {found.get('suite')}; {origin}.\n\n{table}\n")
    return "\n".join(sections)


def intervals(summary: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Every figure of a result summary that has an interval, in order: (its dotted name, {value, low, high, ..})."""
    rows: list[tuple[str, dict[str, Any]]] = []

    def walk(prefix: str, value: Any) -> None:
        if not isinstance(value, dict):
            return
        if {"value", "low", "high"} <= set(value):
            rows.append((prefix, value))
            return
        for key, inner in value.items():
            walk(f"{prefix}.{key}" if prefix else key, inner)

    walk("", summary)
    return rows
