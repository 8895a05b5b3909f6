"""The figures that papers report, for standing beside ours; each with where it stands. Shares in percent.

They were measured on photos of celebrities with 7B to 13B models: they tell which order to expect, not which numbers.
"""

from __future__ import annotations

from typing import Any

TABLE_1: dict[str, dict[str, Any]] = {  # PLVM, section 4.1: 34 identities, 246 pictures
    "PLVM": {"positive": 78.5, "negative": 84.7, "mean": 81.6, "text_qa": 85.9, "visual_qa": 77.5},
    "Yo'LLaVA": {"positive": 73.1, "negative": 73.7, "mean": 73.4, "text_qa": 77.4, "visual_qa": 72.9},
    "LLaVA with a prompt": {"positive": 80.3, "negative": 61.3, "mean": 70.8, "text_qa": 71.8, "visual_qa": 72.3},
    "GPT-4V": {"positive": 40.5, "negative": 97.5, "mean": 69.0, "text_qa": 47.9, "visual_qa": 50.5},
}
TABLE_6: dict[str, str] = {"plvm": "6 ms", "myvlm": "about 1 min", "yollava": "about 40 min"}  # PLVM: learning a concept
TABLE_8: dict[str, dict[str, Any]] = {  # PLVM: the persons of Yo'LLaVA's dataset, one face as reference
    "PLVM": {"positive": 89.4, "negative": 83.0, "mean": 86.2},
    "Yo'LLaVA": {"positive": 62.5, "negative": 84.6, "mean": 73.6},
}
TABLE_7: dict[str, dict[str, Any]] = {  # PLVM: the Aligner's cost beside the whole
    "LLaVA": {"seconds": 0.19, "parameters": 7063e6},
    "Aligner": {"seconds": 0.006, "parameters": 128e6, "share_of_seconds": 0.032, "share_of_parameters": 0.018},
}
TABLE_9: tuple[str, ...] = (  # PLVM: what each of 16 context tokens says of one photo, shortened
    "a man with dark hair", "looking down", "casual", "young, confident", "wearing glasses", "a businessman or lawyer",
    "looking at his reflection", "a black shirt", "focusing on something", "dark eyes", "serious, thoughtful",
    "concentrating", "the main focus", "a formal setting", "a dimly lit room", "in the center",
)  # fmt: skip
