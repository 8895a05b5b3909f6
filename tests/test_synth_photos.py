"""Photos of the user's own become a dataset, and what cannot be read or leaks is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

pytest.importorskip("pyarrow")

from pictures import encoded
from plvm.cli.main import app
from plvm.data.manifest import MANIFEST, read_rows
from plvm.data.spec import Spec
from plvm.errors import PlvmError
from plvm_lab.synth.pipeline import synthesize


def photo_folder(folder: Path) -> Path:
    """Three people with photos, one of them unreadable, one a drawing program's file."""
    for who, colour in (("ann", "red"), ("Bob Smith", "green"), ("cy.d", "blue")):
        (folder / who).mkdir(parents=True)
        for i in range(3):
            image = Image.effect_noise((60 + i, 50), 90 + i).convert("RGB")
            image.paste(colour, (0, 0, 20, 20))
            (folder / who / f"{i}.jpg").write_bytes(encoded(image, "JPEG", quality=95))
    (folder / "ann" / "ref.png").write_bytes(encoded(Image.new("RGB", (40, 40), "red")))
    (folder / "ann" / "1.jpg").write_bytes(b"\xff\xd8\xff broken")
    return folder


def test_photos_are_imported_and_what_cannot_be_read_has_its_reason(tmp_path: Path) -> None:
    photos = photo_folder(tmp_path / "photos")
    done = CliRunner().invoke(
        app, ["synth", "import", str(photos), "--out", str(tmp_path / "d"), "--no-filters", "--size", "64"]
    )
    assert done.exit_code == 0, done.output
    rows = {r["picture"]: r for r in read_rows(tmp_path / "d")}
    assert len(rows) == 10 and sum(not r["kept"] for r in rows.values()) == 1
    assert {r["identity"] for r in rows.values()} > {"ann"} and all("." not in k and " " not in k for k in rows)
    bad = next(r for r in rows.values() if not r["kept"])
    assert bad["rejected_by"] == "unreadable" and "1.jpg" in bad["reason"]
    assert json.loads(rows["ann-reference"]["truth"]) == {"file": "ref.png"}


def test_a_photo_that_two_people_share_across_splits_is_a_leak(tmp_path: Path) -> None:
    photos = photo_folder(tmp_path / "photos")
    same = encoded(Image.effect_noise((64, 64), 80).convert("RGB"))
    for who in ("ann", "Bob Smith", "cy.d"):
        (photos / who / "same.png").write_bytes(same)
    spec = Spec("photos", 0, 9, size=64, filters=False, options={"references": str(photos)})
    with pytest.raises(PlvmError, match="two splits"):
        synthesize(spec, tmp_path / "d")
    assert not (tmp_path / "d" / MANIFEST).exists()
