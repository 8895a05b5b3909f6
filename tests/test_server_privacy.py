"""What a server notes of its callers, and whom it forgets by itself."""

from __future__ import annotations

import asyncio
import json
from datetime import date
from pathlib import Path
from typing import Any

import httpx2
import pytest

from concepts import concept
from plvm.errors import RequestError
from plvm.personal import Personal
from plvm.server.audit import AuditLog
from plvm.server.keys import KeyFile
from plvm.store import ConceptStore
from serving import a_service, asked, running, uri
from toys import picture


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def visit(address: str, key: str) -> None:
    """Add, ask, read, rename and forget <billie>; one request with a wrong key."""
    with httpx2.Client(base_url=address, timeout=60, headers={"Authorization": f"Bearer {key}"}) as http:
        assert http.post("/v1/concepts", json={"name": "billie", "images": [uri(picture(1))]}).status_code == 201
        assert http.post("/v1/chat/completions", json=asked("Is <billie> in this photo?")).status_code == 200
        assert http.get("/v1/concepts/billie").status_code == 200
        assert http.patch("/v1/concepts/billie", json={"name": "mia"}).status_code == 200
        assert http.delete("/v1/concepts/mia").status_code == 200
        assert http.get("/healthz").status_code == 200
        assert http.get("/v1/concepts", headers={"Authorization": "Bearer wrong"}).status_code == 401


@pytest.mark.parametrize("names", [False, True])
def test_the_audit_log_says_who_did_what_and_nobody_s_name_unless_asked(vlm: Personal, tmp_path: Path, names: bool) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    key = keys.new("family")
    log = tmp_path / "logs" / "audit.jsonl"
    service = a_service(vlm, tmp_path, keys=keys, audit=AuditLog(log, names=names))
    with running(service) as address:
        visit(address, key)
    found = lines(log)
    assert [(line["did"], line["status"]) for line in found] == [
        ("POST /v1/concepts", 201), ("POST /v1/chat/completions", 200), ("GET /v1/concepts/{name}", 200),
        ("PATCH /v1/concepts/{name}", 200), ("DELETE /v1/concepts/{name}", 200), ("GET /v1/concepts", 401),
    ]  # fmt: skip
    assert {(line["key"], line["namespace"]) for line in found[:-1]} == {(keys.keys[0].id, "family")}
    assert found[-1]["key"] is None and log.stat().st_mode & 0o777 == 0o600
    text = log.read_text(encoding="utf-8")
    assert key not in text and "base64" not in text and "photo" not in text
    if names:
        assert [line.get("concept") for line in found] == ["billie", None, "billie", "billie", "mia", None]
    else:
        assert "billie" not in text and "mia" not in text


def test_an_audit_log_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path, tmp_path / "file" / "audit.jsonl"):
        with pytest.raises(RequestError, match="cannot be written"):
            AuditLog(place)


def test_who_is_used_is_noted_once_a_day_and_again_after_a_change(
    vlm: Personal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(ConceptStore, "used", lambda store, names: noted.append((store.namespace, list(names))))
    monkeypatch.setattr("plvm.store.retention.today", lambda: date(2026, 1, 2))
    service = a_service(vlm, tmp_path)

    def used(namespace: str, *names: str) -> list[tuple[str, list[str]]]:
        noted.clear()
        asyncio.run(service.note_use(namespace, names))
        return list(noted)

    assert used("a", "anna") == [("a", ["anna"])] and used("b", "anna") == [("b", ["anna"])]
    assert used("a", "anna") == [] and used("a", "anna", "kim") == [("a", ["anna", "kim"])]
    service.left("a", "kim", ())  # forgotten, or called otherwise: somebody else may have the name
    assert used("a", "anna") == [("a", ["anna"])] and used("b", "anna") == []
    monkeypatch.setattr("plvm.store.retention.today", lambda: date(2026, 1, 3))
    assert used("b", "anna") == [("b", ["anna"])]
    service.stop(1)


def test_a_server_forgets_in_every_namespace_whom_nobody_uses_and_notes_it(
    vlm: Personal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = a_service(vlm, tmp_path, audit=AuditLog(tmp_path / "audit.jsonl"), days=30)
    monkeypatch.setattr("plvm.store.retention.today", lambda: date(2026, 1, 2))
    for namespace in ("a", "b"):
        service.store(namespace).add_all([concept("old", 1), concept("used", 2)])
    monkeypatch.setattr("plvm.store.retention.today", lambda: date(2026, 2, 1))
    service.forget_stale()
    assert service.store("a").names() == ["old", "used"], "30 days are not more than 30 days"
    service.store("a").used(["used"])
    monkeypatch.setattr("plvm.store.retention.today", lambda: date(2026, 2, 2))
    service.forget_stale()
    assert service.store("a").names() == ["used"] and service.store("b").names() == []
    found = lines(tmp_path / "audit.jsonl")
    assert [line["namespace"] for line in found] == ["a", "b", "b"] and not any("concept" in line for line in found)
    service.stop(1)


def test_a_question_counts_as_use(vlm: Personal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = a_service(vlm, tmp_path)
    with running(service) as address, httpx2.Client(base_url=address, timeout=60) as http:
        for name in ("billie", "mia"):
            http.post("/v1/concepts", json={"name": name, "images": [uri(picture(1))]})
        monkeypatch.setattr("plvm.store.retention.today", lambda: date(2099, 1, 1))
        assert http.post("/v1/chat/completions", json=asked("Is <billie> in this photo?")).status_code == 200
        assert set(service.store("default").stale(10)) == {"mia"}


def test_a_note_of_consent_is_shown_and_kept(vlm: Personal, tmp_path: Path) -> None:
    service = a_service(vlm, tmp_path)
    with running(service) as address, httpx2.Client(base_url=address, timeout=60) as http:
        body = {"name": "billie", "images": [uri(picture(1))], "consent": "signed 2026-11-28"}
        assert http.post("/v1/concepts", json=body).json()["consent"] == "signed 2026-11-28"
        assert http.get("/v1/concepts/billie").json()["consent"] == "signed 2026-11-28"
        assert http.get("/v1/concepts").json()["data"][0]["consent"] == "signed 2026-11-28"
