"""The datasheet of a dataset: what is in it, how it was made, what was refused. Plain Markdown, without times, so that the
same dataset has the same one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def datasheet(manifest: Mapping[str, Any]) -> str:
    """The page for a manifest's values."""
    spec, counts = manifest["spec"], manifest["counts"]
    splits = [
        f"| {s} | {counts[s]['identities']:,} | {counts[s]['pictures']:,} | {counts[s]['kept']:,} |"
        for s in ("train", "val", "test")
    ]
    reasons = [f"| {by} | {n:,} |" for by, n in counts["rejections"].items()] or ["| none | 0 |"]
    questions = [f"| {kind} | {n:,} |" for kind, n in counts["questions"].items()]
    made = [f"- {k}: {v}" for k, v in (*manifest["generator"].items(), *manifest["versions"].items())]
    told = [f"- {k}: {v}" for k, v in spec.items() if k not in ("options", "inputs")]
    told += [f"- {k}: {v}" for k, v in spec["options"].items()]
    told += [f"- digest of the {k}: {v}" for k, v in spec["inputs"].items()]
    agreed = [f"| {slot} | {a:,} of {n:,} | {a / n:.3f} |" for slot, (a, n) in counts["agreement"].items()]
    return "\n".join(
        [
            "# Datasheet",
            "",
            "One reference picture per identity and other pictures of the same identity, with questions and answers.",
            "Splits are by identity. Pictures are in WebDataset tars, tables in Parquet; in the questions `<n0>`, `<n1>`",
            "stand for the concepts of a row, in order.",
            "",
            *_table("Pictures", ("split", "identities", "pictures", "kept"), splits),
            *_table("Refused, by filter (a picture can be refused by several)", ("filter", "pictures"), reasons),
            f"Refused in all: {counts['rejected']:,}. They are in the `.rejected.tar` files, with scores and reasons in the",
            "tables.",
            "",
            *_table("Questions", ("kind", "questions"), questions),
            *(
                _table("Answers of the backbone that are true", ("attribute", "agree", "share"), agreed)
                if agreed
                else []
            ),
            "## Leaks between splits",
            "",
            f"No identity and no picture is in two splits; {manifest['leaks']['near']:,} pictures of val and test look nearly",
            "like one of an earlier split (made 12 x 12 pixels small, at most 2.5 grey levels apart on average).",
            "",
            "## How it was made",
            "",
            *told,
            *made,
            "",
            f"Content: `{manifest['content']}`",
            "",
        ]
    )


def _table(title: str, header: tuple[str, ...], rows: list[str]) -> list[str]:
    return [f"## {title}", "", f"| {' | '.join(header)} |", "|---" * len(header) + "|", *rows, ""]
