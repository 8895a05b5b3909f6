"""People of Immich, PhotoPrism and Frigate: enrolled, followed when they change there, and asked for patiently."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apps import KEY, PASSWORD, App, ImmichHandler, PhotoPrismHandler, running
from pictures import encoded, png_bomb
from plvm.albums import web
from plvm.albums.immich import Immich
from plvm.albums.web import Host, Manners
from plvm.errors import RequestError
from shell import Shell
from shell import load_once as load_once
from shell import shell as shell
from toys import picture

pytest_plugins = ["family"]


@pytest.fixture
def immich() -> Iterator[App]:
    with running(ImmichHandler) as app:
        app.person("id-1", "Anna Maria", 1)
        app.person("id-2", "kim", 2)
        app.person("id-3", "", 3)
        app.person("id-4", "Ole", 4, hidden=True)
        yield app


@pytest.fixture
def photoprism() -> Iterator[App]:
    with running(PhotoPrismHandler) as app:
        app.person("js1", "Anna Maria", 1)
        app.person("js2", "kim", 2)
        yield app


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "Manners", lambda: Manners(timeout=0.3, attempts=3, backoff=0.01, longest=0.02))


def bring(shell: Shell, app: App, *more: str, exit: int = 0) -> dict[str, str]:
    """Import from Immich; {name: what became of them}."""
    said = shell("add", "--from-immich", app.url, "--key", KEY, "--json", *more, exit=exit)
    return {person["name"]: person["result"] for person in json.loads(said)["people"]}


def names(shell: Shell) -> list[str]:
    return [concept["display"] for concept in json.loads(shell("list", "--json"))]


def test_everybody_with_a_name_is_enrolled_and_the_second_time_nobody_is_asked_for_again(shell: Shell, immich: App) -> None:
    assert bring(shell, immich) == {"Anna Maria": "new", "kim": "new"}
    assert names(shell) == ["Anna Maria", "kim"]
    assert len(immich.pictures()) == 2
    kept = shell.kept()
    assert bring(shell, immich) == {"Anna Maria": "same", "kim": "same"}
    assert immich.pictures() == [] and shell.kept() == kept
    assert {headers["x-api-key"] for headers in immich.headers} == {KEY}


def test_pages_are_turned_to_the_last(shell: Shell, immich: App) -> None:
    immich.largest_page = 2
    immich.person("id-5", "Zoe", 5)
    assert list(bring(shell, immich)) == ["Anna Maria", "kim", "Zoe"]


def test_a_dry_run_says_what_would_be_and_changes_nothing(shell: Shell, immich: App) -> None:
    assert bring(shell, immich, "--dry-run") == {"Anna Maria": "new", "kim": "new"}
    assert names(shell) == [] and not list(shell.store.parent.glob("*.imports.json"))
    said = shell("add", "--from-immich", immich.url, "--key", KEY, "--dry-run")
    assert "WOULD BE" in said and "Nothing was done." in said


def test_renamed_people_and_new_pictures_are_followed(shell: Shell, immich: App) -> None:
    bring(shell, immich)
    before = {name: references for name, _, _, _, references in shell.kept()}
    immich.person("id-1", "Anna Lena", 1)
    immich.person("id-2", "kim", 7)
    assert bring(shell, immich, "--dry-run") == {"Anna Lena": "renamed", "kim": "changed"}
    assert bring(shell, immich) == {"Anna Lena": "renamed", "kim": "changed"}
    after = {name: references for name, _, _, _, references in shell.kept()}
    assert names(shell) == ["Anna Lena", "kim"]
    assert after["anna-lena"] == before["anna-maria"] and after["kim"] != before["kim"]
    assert set(bring(shell, immich).values()) == {"same"}


def test_two_people_of_one_name_are_one_and_stay_one_when_the_app_merges_them(shell: Shell, immich: App) -> None:
    immich.person("id-5", "Kim", 5)
    assert bring(shell, immich) == {"Anna Maria": "new", "kim": "new"}
    assert len(json.loads(shell("show", "kim", "--json"))["references"]) == 2
    del immich.people["id-5"]
    assert bring(shell, immich) == {"Anna Maria": "same", "kim": "changed"}
    assert len(json.loads(shell("show", "kim", "--json"))["references"]) == 1


def test_merged_under_the_other_name_the_concept_follows(shell: Shell, immich: App) -> None:
    bring(shell, immich)
    pictures = shell.kept()[0][-1]
    del immich.people["id-2"]
    immich.person("id-1", "kim", 1)  # Anna Maria and kim are one, called kim
    assert bring(shell, immich, "--dry-run") == {"kim": "renamed"}
    assert bring(shell, immich) == {"kim": "renamed"}
    assert names(shell) == ["kim"] and shell.kept()[0][-1] == pictures
    assert set(bring(shell, immich)) == {"kim"}


def test_a_cluster_without_a_name_that_took_over_a_named_one_is_the_same_person(shell: Shell, immich: App) -> None:
    bring(shell, immich)
    del immich.people["id-2"]
    immich.person("id-3", "kim", 3)
    assert bring(shell, immich) == {"Anna Maria": "same", "kim": "changed"}
    assert names(shell) == ["Anna Maria", "kim"]


def test_who_is_gone_stays_until_pruned(shell: Shell, immich: App) -> None:
    bring(shell, immich)
    del immich.people["id-2"]
    assert bring(shell, immich) == {"Anna Maria": "same", "kim": "gone"}
    assert names(shell) == ["Anna Maria", "kim"]
    assert bring(shell, immich, "--prune")["kim"] == "gone"
    assert names(shell) == ["Anna Maria"]
    immich.people.clear()
    assert "lists nobody" in shell.refuses("add", "--from-immich", immich.url, "--key", KEY, "--prune")[0]


def test_what_was_done_here_is_not_undone(shell: Shell, immich: App) -> None:
    shell("add", "kim", "billie.png")
    assert bring(shell, immich) == {"Anna Maria": "new", "kim": "yours"}
    shell("rename", "Anna Maria", "Mum")
    immich.person("id-1", "Anna Maria", 9)
    assert bring(shell, immich)["Anna Maria"] == "changed"
    assert names(shell) == ["Mum", "kim"]
    shell("forget", "Mum", "--yes")
    immich.person("id-1", "Anna Maria", 9)
    assert bring(shell, immich)["Anna Maria"] == "forgotten here"
    assert names(shell) == ["kim"]
    assert bring(shell, immich, "--replace") == {"Anna Maria": "new", "kim": "new"}
    assert names(shell) == ["Anna Maria", "kim"]


def test_a_lost_ledger_costs_a_look_and_changes_nothing(shell: Shell, immich: App) -> None:
    bring(shell, immich)
    kept = shell.kept()
    (ledger,) = shell.store.parent.glob("*.imports.json")
    text = ledger.read_text()
    assert "Anna" not in text and "kim" not in text and KEY not in text and ledger.stat().st_mode & 0o077 == 0
    ledger.write_text("{")
    assert "damaged" in shell.refuses("add", "--from-immich", immich.url, "--key", KEY)[0]
    ledger.unlink()
    assert set(bring(shell, immich).values()) == {"same"} and shell.kept() == kept


def test_an_import_that_was_broken_off_goes_on_where_it_stopped(shell: Shell, immich: App) -> None:
    for number in range(20):
        immich.person(f"more-{number}", f"Friend {number}", 20 + number)
    immich.trouble = lambda path, times: 500 if "more-19/" in path else None
    assert bring(shell, immich)["Friend 19"] == "left out"  # one picture that cannot be had stops nobody
    immich.pictures()
    shutil.rmtree(shell.store.parent)
    immich.trouble = lambda path, times: 401 if "more-18/" in path else None
    shell("add", "--from-immich", immich.url, "--key", KEY, exit=2)
    assert len(names(shell)) == 20
    immich.pictures()
    immich.trouble = lambda path, times: None
    assert list(bring(shell, immich).values()).count("new") == 2
    assert len(immich.pictures()) == 2 and len(names(shell)) == 22


@pytest.mark.parametrize(
    ("trouble", "complaint"),
    [
        (401, "refuses the key with status 401"),
        (403, "person.read"),
        (404, "status 404"),
        ("http://elsewhere.invalid/", "sends us on"),
        (b"not json", "gave no JSON"),
        (b'{"error": 1}', "no list of people"),
        (429, "no answer in 3 attempts"),
        (500, "no answer in 3 attempts"),
        ("silence", "no answer in 3 attempts"),
    ],
)
def test_an_app_that_refuses_says_why_and_nothing_changes(shell: Shell, immich: App, trouble: Any, complaint: str) -> None:
    immich.trouble = lambda path, times: trouble
    message, hint = shell.refuses("add", "--from-immich", immich.url, "--key", KEY)
    assert complaint in message + hint and KEY not in message + hint
    assert len(immich.asked) == (3 if "attempts" in complaint else 1)


def test_what_is_busy_is_asked_again(shell: Shell, immich: App) -> None:
    immich.trouble = lambda path, times: {1: 429, 2: 503}.get(times)
    assert set(bring(shell, immich).values()) == {"new"}


@pytest.mark.parametrize("bad", [b"<svg></svg>", png_bomb(), encoded(picture(1))[:200], 404, 500])
def test_a_bad_picture_leaves_out_one_person_and_is_asked_for_again(shell: Shell, immich: App, bad: Any) -> None:
    immich.trouble = lambda path, times: bad if "id-2/" in path else None
    assert bring(shell, immich) == {"Anna Maria": "new", "kim": "left out"}
    immich.trouble = lambda path, times: None
    assert bring(shell, immich) == {"Anna Maria": "same", "kim": "new"}


def test_a_picture_that_cannot_be_had_today_takes_nothing_away(shell: Shell, immich: App) -> None:
    immich.person("id-5", "kim", 5)
    bring(shell, immich)
    kept = shell.kept()
    immich.person("id-2", "kim", 2)
    immich.trouble = lambda path, times: 500 if "id-2/" in path else None
    assert bring(shell, immich)["kim"] == "same" and shell.kept() == kept
    immich.trouble = lambda path, times: None
    assert bring(shell, immich)["kim"] == "same" and shell.kept() == kept


def test_a_picture_that_lies_elsewhere_is_not_fetched_there(shell: Shell, immich: App, photoprism: App) -> None:
    immich.trouble = lambda path, times: photoprism.url + "/a.jpg" if "id-2/" in path else None
    shell("add", "--from-immich", immich.url, "--key", KEY, exit=2)
    assert "sends us on" in shell.err and photoprism.asked == [] and names(shell) == ["Anna Maria"]


def test_what_is_too_large_is_not_read(immich: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "LONGEST_LIST", 100)
    with pytest.raises(RequestError, match="gives more than"):
        list(Immich(Host("Immich", immich.url, allowed="", manners=Manners()), KEY).people())


@pytest.mark.parametrize("url", ["immich.lan", "ftp://a", "http://", "http://me:pw@a", "http://a/people?page=1", "http://a:99999"])
def test_what_is_no_address_is_not_asked(shell: Shell, url: str) -> None:
    shell.refuses("add", "--from-immich", url, "--key", KEY)


def test_keys_come_from_a_file_or_the_environment(shell: Shell, immich: App, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "needs a key" in shell.refuses("add", "--from-immich", immich.url)[0]
    Path("key").write_text(KEY + "\n")
    shell("add", "--from-immich", immich.url, "--key-file", "key", "--dry-run")
    monkeypatch.setenv("PLVM_IMMICH_KEY", KEY)
    shell("add", "--from-immich", immich.url + "/api/", "--dry-run")
    shell.refuses("add", "--from-immich", immich.url, "--key-file", "none")
    shell.refuses("add", "kim", "party.png", "--key", KEY)
    shell.refuses("add", "--folder", ".", "--prune")
    assert all(KEY.encode() not in file.read_bytes() for file in shell.store.parent.glob("*"))


def test_photoprism_gives_names_and_faces(shell: Shell, photoprism: App) -> None:
    photoprism.largest_page = 1
    photoprism.person("js3", "Ole", 3, hidden=True)
    words = ("add", "--from-photoprism", photoprism.url, "--json")
    said = json.loads(shell(*words, "--key", KEY))
    assert [(p["name"], p["result"]) for p in said["people"]] == [("Anna Maria", "new"), ("kim", "new")]
    photoprism.person("js2", "kim", 8)
    photoprism.pictures()
    said = json.loads(shell(*words, "--user", "kim", "--key", PASSWORD))
    assert [p["result"] for p in said["people"]] == ["same", "changed"]
    assert photoprism.asked[-1] == "DELETE /api/v1/session" and len(photoprism.pictures()) == 1
    for wrong in (("--key", "wrong"), ("--user", "kim", "--key", "wrong"), ("--user", "kim"), ()):
        shell.refuses("add", "--from-photoprism", photoprism.url, *wrong)


def test_frigates_faces_are_those_of_its_folder(shell: Shell, tmp_path: Path) -> None:
    faces = tmp_path / "media" / "clips" / "faces"
    for name, seeds in {"Anna_Maria": (1, 2), "kim": (3, 4, 5, 6, 7, 8), "train": (9,), "empty": ()}.items():
        (faces / name).mkdir(parents=True)
        for seed in seeds:
            (faces / name / f"{name}-{seed}.webp").write_bytes(encoded(picture(seed), "WEBP"))
    words = ("add", "--from-frigate", str(tmp_path / "media"), "--json")
    found = {p["name"]: (p["result"], p["pictures"]) for p in json.loads(shell(*words))["people"]}
    assert found == {"Anna Maria": ("new", 2), "kim": ("new", 4)}
    (faces / "Anna_Maria").rename(faces / "Anna_Lena")
    found = {p["name"]: p["result"] for p in json.loads(shell(*words))["people"]}
    assert found == {"Anna Lena": "renamed", "kim": "same"} and names(shell) == ["Anna Lena", "kim"]
    for file in list((faces / "kim").iterdir()):
        file.rename(faces / "Anna_Lena" / file.name)
    found = {p["name"]: p["result"] for p in json.loads(shell(*words))["people"]}
    assert found == {"Anna Lena": "changed", "kim": "merged"} and names(shell) == ["Anna Lena"]
    (ledger,) = shell.store.parent.glob("*.imports.json")
    assert "Anna" not in ledger.read_text() and "kim" not in ledger.read_text()
    shell.refuses("add", "--from-frigate", "nowhere")
