"""Ours: what each of three changes to the paper's training brings, crossed: the form of the Aligner, the tasks, and whether
anchored tokens are told the words of a drawn person.

    python research/runs/crossing.py data/portraits --steps 1200 --seeds 3 --repeat anchored-grounded-told,bounded-grounded

Makes research/results/crossing.json; the data as for Table 2.
Forms: paper (as published), bounded (rows start at the mean name and keep the size of the frozen rows), anchored (ours).
Tasks: paper (one recognition or one attribute question, 1:1), grounded (dialogues of three questions about one to three people).
Everything else is the same in all arms: w = 4, two blocks, Muon, 1,200 steps, half of what the shipped Aligner had.
Claim: the form, the tasks and the words each bring something; the paper's form fails on this small family whatever it is asked.
Hardware: 1 core. Time: about 6 minutes of training an arm and seed, and 2 of measuring.
"""

from __future__ import annotations

from typing import Any

from ablation import run_table

FORMS: dict[str, dict[str, Any]] = {
    "paper": {"aligner.architecture": "paper"},
    "bounded": {"aligner.architecture": "paper", "aligner.bounded": True},
    "anchored": {"aligner.architecture": "anchored"},
}
TASKS: dict[str, dict[str, Any]] = {
    "paper": {"data.tasks": "paper"},
    "grounded": {"data.tasks": "grounded", "data.p": 0.55, "data.recognition": 0.85, "data.attribute": 0.15},
}
ARMS = {
    f"{form}-{tasks}": {"train.w": 4.0, "train.anchor": 0.0} | FORMS[form] | TASKS[tasks] for form in FORMS for tasks in TASKS
}
ARMS |= {f"anchored-{tasks}-told": ARMS[f"anchored-{tasks}"] | {"train.anchor": 4.0} for tasks in TASKS}

if __name__ == "__main__":
    run_table("crossing", str(__doc__), ARMS, {})
