"""A folder of result files: the evaluations in it and the measurements, with all tables that they make."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from plvm.errors import RequestError
from plvm_lab.evaluate.result_table import Table
from plvm_lab.report.evaluations import tables_of
from plvm_lab.report.measurement import Measurement, find_measurements
from plvm_lab.report.results import Run, by_suite, find_runs


@dataclass(frozen=True, eq=False)
class Results:
    """What a folder holds: `runs` are systems on benchmarks, `measurements` everything else that was measured."""

    runs: list[Run]
    measurements: list[Measurement]

    @property
    def tables(self) -> dict[str, list[Table]]:
        """Every table, by suite and then by the name of its file."""
        found = {suite: tables_of(own) for suite, own in by_suite(self.runs).items()}
        return found | {measurement.file.name: own for measurement in self.measurements if (own := measurement.tables)}


def read_folder(folder: Path) -> Results:
    """All results below a folder. Raises RequestError where there is no folder or no result in it."""
    if not folder.is_dir():
        raise RequestError(f"{folder} is not a folder.", "Give the folder with the results of `plvm eval`.")
    found = Results(find_runs(folder), find_measurements(folder))
    if not found.runs and not found.measurements:
        raise RequestError(f"There is no result in {folder}.", "Make one: plvm eval --system plvm --out results/plvm")
    return found
