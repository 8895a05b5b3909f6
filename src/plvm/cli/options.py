"""The options that several verbs share, each written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

Store = Annotated[
    str | None,
    Option("--store", metavar="PATH|URL", help="Where concepts are kept: an SQLite file or a database URL.",
           show_default="concepts.db in your data folder"),
]  # fmt: skip
Namespace = Annotated[
    str, Option("--namespace", metavar="NAME", help="Whose concepts: nothing crosses from one namespace to another.")
]
Model = Annotated[
    str,
    Option("--model", metavar="NAME|FOLDER", help='"mini", the folder of a trained Aligner, its Hub id, or a preset.'),
]
Device = Annotated[
    str | None,
    Option("--device", metavar="DEVICE", help="Where to compute, as torch says it: cpu, cuda, mps.",
           show_default="the best one here"),
]  # fmt: skip
Dtype = Annotated[
    str | None,
    Option("--dtype", metavar="FORMAT", help="The model's numbers: float32, bfloat16 or float16.",
           show_default="what the device computes best"),
]  # fmt: skip
Bits = Annotated[
    int | None, Option("--bits", metavar="N", help="Load the backbone in 4 or 8 bits, on a GPU.", show_default=False)
]
Json = Annotated[bool, Option("--json", help="Write JSON.")]
With = Annotated[
    list[str] | None,
    Option("--with", metavar="NAME", help="A concept to put into the prompt, also when the question does not name it; "
           "may be repeated."),
]  # fmt: skip
Replace = Annotated[bool, Option("--replace", help="Replace what is there under the same name.")]
Out = Annotated[Path, Option("--out", metavar="FOLDER", help="Where the results go.")]

Temperature = Annotated[
    float, Option("--temperature", metavar="X", help="0 always takes the likeliest token; higher is more random.")
]
TopP = Annotated[float, Option("--top-p", metavar="P", help="Draw from the likeliest tokens that share P of it all.")]
TopK = Annotated[int, Option("--top-k", metavar="K", help="Draw from the K likeliest tokens; 0: from all.")]
MaxTokens = Annotated[int, Option("--max-tokens", metavar="N", help="The longest answer.")]
Stop = Annotated[list[str] | None, Option("--stop", metavar="TEXT", help="End the answer at TEXT; may be repeated.")]
Seed = Annotated[int | None, Option("--seed", metavar="N", help="Repeats a random answer.", show_default=False)]
