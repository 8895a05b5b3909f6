"""Concepts, files, recognising and describing over HTTP; keys, limits and places."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pictures import encoded
from plvm.errors import RequestError
from plvm.personal import Personal
from plvm.server.keys import KeyFile
from plvm.server.limits import Limits
from plvm.server.rates import Rates
from plvm.server.refusals import Refusal
from plvm.server.serving import check_place
from plvm.server.uploads import Uploads
from plvm.store import ConceptStore
from serving import a_service, asked, running, uri
from toys import picture

httpx2 = pytest.importorskip("httpx2")


def test_somebody_is_added_found_renamed_shown_and_forgotten(http: Any, service: Any, tmp_path: Path) -> None:
    added = http.post("/v1/concepts", json={"name": "Anna Maria", "images": [uri(picture(5)), uri(picture(6))], "notes": "n"})
    assert added.status_code == 201 and added.json()["name"] == "anna-maria" and added.json()["pictures"] == 2
    assert http.post("/v1/concepts", json={"name": "Anna Maria", "images": [uri(picture(5))]}).status_code == 409
    found = http.get("/v1/concepts", params={"search": "maria"}).json()
    assert [c["shown"] for c in found["data"]] == ["Anna Maria"] and found["total"] == 1 and not found["has_more"]
    renamed = http.patch("/v1/concepts/anna-maria", json={"name": "billie"}).json()
    assert renamed["name"] == "billie" and renamed["notes"] == "n"
    thumbnail = http.get("/v1/concepts/billie/thumbnail", params={"size": 32, "number": 1})
    assert max(Image.open(io.BytesIO(thumbnail.content)).size) == 32
    (tmp_path / "out.plvm").write_bytes(http.get("/v1/export").content)
    with ConceptStore.open(tmp_path / "other.db") as other:
        assert other.import_(tmp_path / "out.plvm") == ["billie"]
    kept = service.store("default").get("billie").references[0]
    assert kept in (tmp_path / "concepts.db").read_bytes() + (tmp_path / "concepts.db-wal").read_bytes()
    assert http.delete("/v1/concepts/billie").json() == {"id": "billie", "object": "concept.deleted", "deleted": True}
    assert http.get("/v1/concepts/billie").status_code == 404
    assert kept not in b"".join(file.read_bytes() for file in tmp_path.glob("concepts.db*"))


def test_more_pictures_of_somebody_join_those_that_are_there(http: Any, service: Any, vlm: Personal) -> None:
    http.post("/v1/concepts", json={"name": "Anna Maria", "images": [uri(picture(5))], "notes": "n"})
    more = http.post("/v1/concepts/anna-maria/images", json={"images": [uri(picture(6)), uri(picture(7))]})
    assert more.status_code == 201 and (more.json()["pictures"], more.json()["notes"]) == (3, "n")
    kept, at_once = service.store("default").get("anna-maria"), vlm.enroll("Anna Maria", *map(picture, (5, 6, 7)))
    assert kept.display == "Anna Maria" and kept.tokens.context.equal(at_once.tokens.context)
    refused = http.post("/v1/concepts/anna-maria/images", json={"images": [uri(picture(6))] * 14})
    assert refused.status_code == 400 and refused.json()["error"]["code"] == "too_many_pictures"
    assert http.post("/v1/concepts/nobody/images", json={"images": [uri(picture(6))]}).status_code == 404


def test_pages_of_concepts_follow_each_other(http: Any, service: Any) -> None:
    service.store("default").add_all(service.vlm.enroll_many({f"p{i}": [picture(i)] for i in range(5)}))
    seen, after = [], None
    for _ in range(3):
        page = http.get("/v1/concepts", params={"limit": 2, **({"after": after} if after else {})}).json()
        seen += [c["name"] for c in page["data"]]
        after = page["last"]
    assert seen == [f"p{i}" for i in range(5)] and not page["has_more"]


def test_verdicts_and_places_are_those_of_the_model(http: Any, service: Any, vlm: Personal) -> None:
    concepts = service.store("default").add_all(vlm.enroll_many({"avril": [picture(6)], "billie": [picture(5)]}))
    found = http.post("/v1/recognize", json={"image": uri(picture(1))}).json()
    expected = {p.name: p for p in vlm.verdicts([picture(1)], concepts)[0]}
    assert {p["name"] for p in found["people"]} == set(expected) and found["calibrated"] is False
    for p in found["people"]:
        assert p["verdict"] == expected[p["name"]].verdict
        assert p["probability"] == pytest.approx(expected[p["name"]].probability, abs=1e-4)
        assert p["place"] is None
    one = http.post("/v1/recognize", json={"image": uri(picture(1)), "concepts": ["billie"]}).json()
    assert [p["name"] for p in one["people"]] == ["billie"]


def test_those_who_are_there_have_places_where_places_are_asked_for(http: Any, service: Any, vlm: Personal) -> None:
    concepts = service.store("default").add_all(vlm.enroll_many({"avril": [picture(6)], "billie": [picture(5)]}))
    middle = sum(p.evidence for p in vlm.verdicts([picture(1)], concepts)[0]) / 2
    only_one = replace(vlm.calibration.verdicts, yes=(middle, middle), unsure=(middle, middle))
    vlm.calibration = replace(vlm.calibration, verdicts=only_one)
    told = http.post("/v1/recognize", json={"image": uri(picture(1)), "places": True}).json()["people"]
    ((name, place),) = ((p.name, p.place) for p in vlm.who(picture(1), concepts))
    assert [(p["verdict"], p["place"]) for p in told] == [("yes", place), ("no", None)] and told[0]["name"] == name


def test_a_description_names_those_who_are_there(http: Any, service: Any, vlm: Personal) -> None:
    concepts = service.store("default").add_all(vlm.enroll_many({"avril": [picture(6)], "billie": [picture(5)]}))
    body = http.post("/v1/describe", json={"image": uri(picture(1))}).json()
    there = [c for c in concepts if c.name in {p.name for p in vlm.who(picture(1), concepts) if p.verdict == "yes"}]
    assert body["tags"] == [c.name for c in there]
    known = vlm.ask(picture(1), "Describe the picture.", there).shown(there)
    assert body["caption"][:40] == known[:40] and body["caption"]


def test_an_uploaded_picture_stands_wherever_a_picture_can(http: Any) -> None:
    file = http.post("/v1/files", files={"file": ("a.png", encoded(picture(1)), "image/png")}, data={"purpose": "vision"}).json()
    assert http.get(f"/v1/files/{file['id']}/content").content == encoded(picture(1))
    by_id = asked("Who is here?")
    by_id["messages"][0]["content"][0] = {"type": "file", "file": {"file_id": file["id"]}}
    first, second = (http.post("/v1/chat/completions", json=b).json() for b in (by_id, asked("Who is here?")))
    assert first["choices"] == second["choices"]
    assert http.delete(f"/v1/files/{file['id']}").json()["deleted"]
    assert http.post("/v1/chat/completions", json=by_id).status_code == 404


def test_files_go_by_themselves_and_have_a_limit() -> None:
    now = [0.0]
    uploads = Uploads(60, 10, lambda: now[0])
    first = uploads.add("a", "x", "vision", b"12345678")
    with pytest.raises(Refusal, match="MiB"):
        uploads.add("a", "y", "vision", b"123")
    uploads.add("b", "y", "vision", b"123")
    with pytest.raises(Refusal, match="no file"):
        uploads.get("b", first.id)
    now[0] = 61
    assert uploads.list("a") == []


def test_a_key_opens_its_namespace_and_nothing_else(vlm: Personal, tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    home, office = (keys.new(name) for name in ("home", "office"))
    assert home not in (text := (tmp_path / "keys.json").read_text()) and "home" in text
    assert (tmp_path / "keys.json").stat().st_mode & 0o077 == 0
    service = a_service(vlm, tmp_path, keys=keys, keys_needed=True)
    with running(service) as address, httpx2.Client(base_url=address, timeout=60) as http:
        def at(key: str) -> Any:
            return {"headers": {"Authorization": f"Bearer {key}"}}

        assert http.get("/healthz").status_code == http.get("/readyz").status_code == 200
        for wrong in ({}, at("plvm-nobody"), {"headers": {"Authorization": f"Basic {home}"}}):
            refused = http.get("/v1/concepts", **wrong)
            assert refused.status_code == 401 and refused.json()["error"]["code"] == "invalid_api_key"
        http.post("/v1/concepts", json={"name": "billie", "images": [uri(picture(5))]}, **at(home))
        http.post("/v1/concepts", json={"name": "billie", "images": [uri(picture(6))]}, **at(office))
        answers = [http.post("/v1/chat/completions", json=asked("Where is <billie>?"), **at(k)).json() for k in (home, office)]
        for seed, answer in zip((5, 6), answers, strict=True):
            one = vlm.enroll("billie", picture(seed))
            content = vlm.ask(picture(1), "Where is <billie>?", [one]).shown([one])
            assert content.startswith(answer["choices"][0]["message"]["content"])
        assert answers[1]["usage"]["prompt_tokens_details"]["cached_tokens"] == 0, "nobody sees what another has looked at"
        keys.revoke(keys.keys[0].id)
        assert http.get("/v1/concepts", **at(home)).status_code == 401
        keys.revoke(keys.keys[0].id)
        assert http.get("/v1/concepts").status_code == 401, "without any key left it stays closed"
        keys.path.write_text("{")
        assert http.get("/v1/concepts", **at(home)).json()["error"]["code"] == "store_unavailable"


def test_a_mistake_of_ours_is_an_error_as_any_other(http: Any, service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "store", lambda namespace: 1 / 0)
    broken = http.get("/v1/concepts")
    assert broken.status_code == 500 and broken.json()["error"]["code"] == "internal"


def test_without_a_key_nobody_else_can_reach_it(http: Any) -> None:
    with pytest.raises(RequestError, match="no key"):
        check_place("0.0.0.0", 0)
    check_place("127.0.0.1", 0)
    check_place("0.0.0.0", 1)
    assert http.get("/v1/models", headers={"Origin": "https://evil.example"}).status_code == 403
    assert http.get("/v1/models", headers={"Host": "evil.example"}).status_code == 403
    assert http.get("/v1/models", headers={"Origin": str(http.base_url).rstrip("/")}).status_code == 200


def test_a_key_may_send_so_many_requests() -> None:
    now = [0.0]
    rates = Rates(2, lambda: now[0])
    rates.take("a"), rates.take("a"), rates.take("b")
    with pytest.raises(Refusal) as refused:
        rates.take("a")
    assert refused.value.status == 429 and refused.value.retry_after == 30
    now[0] = 30
    rates.take("a")


def test_a_request_that_is_too_large_is_not_read(vlm: Personal, tmp_path: Path) -> None:
    with running(a_service(vlm, tmp_path, limits=Limits(body_bytes=1000))) as address, httpx2.Client(base_url=address) as http:
        for content in (b"x" * 2000, iter([b"x" * 600] * 3)):
            refused = http.post("/v1/concepts", content=content, headers={"Content-Type": "application/json"})
            assert refused.status_code == 413 and refused.json()["error"]["code"] == "request_too_large"


def test_the_figures_count_requests_and_name_nobody(http: Any, service: Any) -> None:
    http.post("/v1/concepts", json={"name": "billie", "images": [uri(picture(5))]})
    http.get("/v1/concepts/billie")
    text = http.get("/metrics").text
    assert 'plvm_requests_total{route="/v1/concepts",status="201"} 1.0' in text
    assert "plvm_waiting 0.0" in text and "billie" not in text
