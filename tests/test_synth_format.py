"""The format of a dataset: tables, tars, manifest and datasheet agree, and other tools read them."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("pyarrow")

import pyarrow.parquet as parquet

from plvm.data.manifest import MANIFEST, changed_files, read_manifest, read_rows
from plvm.data.shards import KEPT, PARTS, PICTURES, QUESTIONS, read_pictures
from plvm.data.spec import SPLITS
from plvm.errors import RequestError
from plvm_lab.synth.shard import pixel_digest
from synthesized import made as made


def test_the_tables_tell_every_picture_and_the_tars_have_those_that_were_kept(made: Path) -> None:
    rows = read_rows(made)
    assert len(rows) == 10 * 3 and all(r["kept"] for r in rows)
    stored = {key: png for f in made.glob(f"*{KEPT}") if "rejected" not in f.name for key, png in read_pictures(f)}
    assert set(stored) == {r["picture"] for r in rows}
    for row in rows:
        with Image.open(io.BytesIO(stored[row["picture"]])) as image:
            assert image.size == (row["width"], row["height"]) == (48, 48) and image.mode == "RGB"


def test_parquet_and_tar_are_what_other_tools_read(made: Path) -> None:
    table = parquet.read_table(made / f"train-00000{PICTURES}")
    assert table.schema.field("kept").type == "bool" and table.schema.field("face_score").type == "float"
    with tarfile.open(made / "train-00000.tar") as tar:
        names = tar.getnames()
        stems = [n.partition(".")[0] for n in names]
        assert names[0::2] == [f"{s}.png" for s in stems[0::2]] and names[1::2] == [f"{s}.json" for s in stems[0::2]]
        first = tar.extractfile(names[1])
        assert first is not None and json.load(first)["split"] == "train"
        assert {e.mtime for e in tar} == {0}


def test_datasets_reads_tables_and_pictures(made: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    read = datasets.load_dataset(
        "parquet", data_files={s: str(made / f"{s}-*{QUESTIONS}") for s in SPLITS}, cache_dir=str(tmp_path)
    )
    assert sum(len(d) for d in read.values()) == len(read_rows(made, QUESTIONS))
    files = [str(f) for f in sorted(made.glob("train-?????.tar"))]
    pictures = datasets.load_dataset("webdataset", data_files=files, split="train", cache_dir=str(tmp_path))
    assert pictures[0]["png"].size == (48, 48) and pictures[0]["json"]["split"] == "train"


def test_webdataset_reads_the_pictures_with_what_is_told_of_them(made: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    files = [str(f) for f in sorted(made.glob("*-?????.tar"))]
    found = list(webdataset.WebDataset(files, shardshuffle=False).decode("pil").to_tuple("__key__", "png", "json"))
    rows = {r["picture"]: r for r in read_rows(made)}
    assert sorted(key for key, _, _ in found) == sorted(rows)
    for key, image, told in found:
        assert pixel_digest(image) == rows[key]["sha256"] and told["people"] == rows[key]["people"]


def test_the_manifest_and_the_datasheet_count_what_is_there(made: Path) -> None:
    manifest = read_manifest(made)
    assert sum(manifest.counts[s]["pictures"] for s in SPLITS) == len(read_rows(made))
    assert sum(manifest.counts["questions"].values()) == len(read_rows(made, QUESTIONS))
    assert set(manifest.shards) == {f.name.removesuffix(QUESTIONS) for f in made.glob(f"*{QUESTIONS}")}
    sheet = (made / "DATASHEET.md").read_text()
    assert f"`{manifest.content}`" in sheet and "- seed: 3" in sheet and "| train | 6 | 18 | 18 |" in sheet
    assert changed_files(made) == []


def test_a_changed_file_is_found_and_an_unfinished_dataset_is_refused(made: Path, tmp_path: Path) -> None:
    for file in made.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / f"val-00000{PARTS[0]}").write_bytes(b"")
    (tmp_path / f"test-00000{QUESTIONS}").unlink()
    assert sorted(changed_files(tmp_path)) == [f"test-00000{QUESTIONS}", f"val-00000{PARTS[0]}"]
    (tmp_path / MANIFEST).unlink()
    with pytest.raises(RequestError, match="not finished"):
        read_rows(tmp_path)
