"""Rows of measurements -> a table for reading: what was measured, both ways, and how near that is to what the machine can do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from plvm_lab.evaluate.result_table import Table

HEADER = ("what", "ours", "the naive way", "ratio", "by computing", "tokens, ours and naive", "work of ours",
          "share of the ceiling", "besides")  # fmt: skip
_CASE = {"concepts": "people", "pictures": "pictures", "turn": "turns", "joins": "joining", "moves": "move of the window",
         "batch": "at a time", "words": "tokens long", "together": "together", "clients": "clients",
         "image_tokens": "image tokens"}  # fmt: skip
_BESIDES = {"over_encoder": "times the encoder's pass by transformers", "over_prepared": "times ours",
            "overhead": "times the backbone's pass", "over_one": "times the rate of the first",
            "over_first": "times the first of these turns",
            "over_whole": "times sooner than by reading every turn", "over_import": "times the import"}  # fmt: skip


def table_of_rows(title: str, rows: Sequence[Mapping[str, Any]], note: str = "") -> Table:
    """A table of rows as `plvm_lab.measure` makes them; times are medians a unit with quartiles."""
    cells = tuple(tuple(_cells(row)) for row in rows)
    unit = rows[0]["unit"] if rows else "unit"
    return Table(title, HEADER, cells, f"Median seconds a {unit}, with quartiles, taken in turn. {note}".strip())


def _cells(row: Mapping[str, Any]) -> Iterator[str]:
    names = [f"{row[key]} {name}" for key, name in _CASE.items() if row.get(key)]
    yield ", ".join([row.get("subject", ""), *names]).removeprefix(", ")
    yield _lasting(row["times"]["ours"])
    yield _lasting(row["times"]["naive"])
    yield f"{row['ratio']:.1f}"
    yield f"{row['ratio_computing']:.1f}" if "ratio_computing" in row else "-"
    tokens = row.get("tokens")
    yield f"{tokens['ours']:.1f}, {tokens['naive']:.1f}" if tokens else "-"
    amounts = [f"{row['flops'] / 1e9:.3g} GFLOP"] if "flops" in row else []
    amounts += [f"{key.replace('_', ' ')} {n / 1e6:.3g} MB" for key, n in row.get("bytes", {}).items() if n is not None]
    yield "; ".join(amounts) or "-"
    shares = {"share_of_matmul": "matrix products", "share_of_torch_matmul": "those by torch itself",
              "share_of_bandwidth": "bandwidth"}  # fmt: skip
    yield "; ".join(f"{100 * row[key]:.0f} % of {name}" for key, name in shares.items() if key in row) or "-"
    besides = [f"{row[key]['ratio']:.2f} {name}" for key, name in _BESIDES.items() if key in row]
    besides += [f"{name} {_lasting(row['times'][name])}" for name in ("served", "import") if name in row["times"]]
    besides += [f"results differ by {row['difference']:.0e}"] if "difference" in row else []
    yield "; ".join(besides) or "-"


def _lasting(time: Mapping[str, float]) -> str:
    def told(seconds: float) -> str:
        return f"{1000 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"

    spread = f" [{told(time['low'])}, {told(time['high'])}]" if "low" in time else ""
    return told(time["seconds"]) + spread
