"""The trainer's frozen features: cached they are the fresh ones, and the cache stays in its size."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

pytest.importorskip("pyarrow")
pytest.importorskip("accelerate")

from plvm.data.dataset import Dataset
from plvm.train.features import Cache, Features, fingerprint_of
from trained import album as album
from trained import data as data
from trained import quiet, weights
from trained import whole as whole
from trainer_worker import a_trainer, small


def test_cached_features_are_the_fresh_ones_and_the_models_are_not_asked_again(
    data: Path, album: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    t = a_trainer(data, tmp_path / "out", small())
    split, cache = t.splits["train"], Cache(tmp_path / "cache", 1e9)
    fresh, kept = t.features, Features(t.backbone, t.encoder, t.dataset, cache)
    people, pictures = split.people[:3], [key for key, _ in split.pictures[:3]]
    for _ in range(2):
        for person in people:
            assert torch.equal(kept.reference(person), fresh.reference(person))
        for key in pictures:
            a, b = kept.image_tokens(key), fresh.image_tokens(key)
            assert a.ids == b.ids and a.advance == b.advance
            assert torch.equal(a.rows, b.rows) and torch.equal(a.places, b.places)
    assert (cache.hits, cache.misses) == (6, 6)
    monkeypatch.setattr(t.encoder, "features", None)
    again = Features(t.backbone, t.encoder, t.dataset, Cache(tmp_path / "cache", 1e9))
    assert again.reference(people[0]).isfinite().all()
    with pytest.raises(TypeError):
        again.reference(people[0], augment="1")  # a changed copy is another picture


def test_a_run_with_cached_features_is_the_run_without(data: Path, whole: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        a_trainer(data, tmp_path / name, small(), cache=tmp_path / "cache").run(quiet)
        ours, theirs = weights(tmp_path / name), weights(whole)
        assert not [k for k in theirs if not torch.equal(ours[k], theirs[k])]


def test_the_cache_stays_in_its_size_and_computes_anew_what_is_damaged(tmp_path: Path) -> None:
    cpu, values = torch.device("cpu"), {"x": torch.arange(100.0)}
    cache = Cache(tmp_path, 900)
    for i in range(5):
        cache.get(f"who/{i:064}", lambda: values, cpu)
    files = sorted(tmp_path.rglob("*.safetensors"))
    assert len(files) == 2, "two of 400 bytes fit"
    files[0].write_bytes(b"half a fi")
    found = Cache(tmp_path, 900).get(f"who/{0:064}", lambda: values, cpu)
    assert torch.equal(found["x"], values["x"])


def test_a_model_has_one_fingerprint_wherever_its_files_lie(data: Path, tmp_path: Path) -> None:
    t = a_trainer(data, tmp_path / "out", small())
    model, processor = t.backbone.model, t.backbone.image_processor
    first = fingerprint_of(model, processor)
    model.config._name_or_path = model.config.text_config._name_or_path = "/another/folder"
    assert fingerprint_of(model, processor) == first


def test_another_model_or_other_preprocessing_has_another_fingerprint(data: Path, tmp_path: Path) -> None:
    t = a_trainer(data, tmp_path / "out", small())
    model, processor = t.encoder.model, t.encoder.image_processor
    first = fingerprint_of(model, processor)
    assert fingerprint_of(model, t.backbone.image_processor) != first
    with torch.no_grad():
        next(model.parameters()).flatten()[0] += 1
    assert fingerprint_of(model, processor) != first
    with torch.no_grad():
        next(model.parameters()).flatten()[0] -= 1
