"""Small folders in the layouts of the field's datasets, filled with drawn portraits; and the flaws that those datasets
have, planted one by one."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image

from plvm_lab.evaluate.portraits_benchmark import SMALL, Benchmark, portraits
from plvm_lab.portraits.render import rasterize, scene_svg

NAMES = ("ann", "ben", "cem")
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"


@cache
def world() -> Benchmark:
    return portraits("val", 7, SMALL)


@cache
def reference(i: int, other: int = 0) -> Image.Image:
    """Picture number `other` of person `i`; 0 is the reference."""
    bench = world()
    scene = bench.references[i] if not other else bench.lookalike_references[i][other - 1]
    return rasterize(scene_svg(scene), 96)


def pictures_of(i: int) -> list[int]:
    """The numbers of the pictures that show person `i`."""
    return [p for p, here in enumerate(world().present[i]) if here]


@cache
def query(i: int, which: int) -> Image.Image:
    """A picture with only person `i` of the first three in it."""
    bench = world()
    alone = [p for p in pictures_of(i) if not {*bench.shown(p)} & ({*bench.names[:3]} - {bench.names[i]})]
    return rasterize(scene_svg(bench.pictures[alone[which]]), 96)


def save(path: Path, picture: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


def write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def change(path: Path, edit: Any) -> None:
    """Edit a JSON file in place."""
    value = json.loads(path.read_text())
    write(path, edit(value) or value)


def folder(root: Path) -> Path:
    for i, name in enumerate(NAMES):
        save(root / name / "reference.png", reference(i))
        for which in (0, 1):
            save(root / name / f"{which}.png", query(i, which))
    save(root / "others" / "0.png", reference(4))
    rows = [
        {"concept": n, "question": f"What does <{n}> wear?", "options": {"A": "a hat", "B": "nothing"}, "answer": "B",
         "picture": f"{n}/0.png"} for n in NAMES
    ]  # fmt: skip
    rows.append({"concept": "ann", "question": "Is <ann> old?", "options": {"A": "yes", "B": "no"}, "answer": "A"})
    write(root / "questions.json", rows)
    return root


def authors(root: Path) -> Path:
    for i, name in enumerate(NAMES):
        save(root / name / "ref_img.png", reference(i))
        for which in (0, 1):
            save(root / name / f"query_img{which + 1}.png", query(i, which))
    base = {"multiple_choice": {"A": "blonde", "B": "black"}, "correct_answer": "A"}
    question = "What is <sks>'s hair color?"
    refs = {n: f"validation_recognition/{n}/ref_img.png" for n in NAMES}
    write(root / "non_query_ques.json", [{"ref_img": refs[n], "question": question} | base for n in NAMES])
    write(
        root / "query_ques.json",
        [{"ref_img": refs[n], "query_img": f"validation_recognition/{n}/query_img1.png", "question": question} | base
         for n in NAMES],
    )  # fmt: skip
    return root


def yollava(root: Path) -> Path:
    visual: dict[str, Any] = {}
    for i, name in enumerate(NAMES):
        for which in (0, 1):
            save(root / "train" / name / f"{which}.png", reference(i, which))
            save(root / "test" / name / f"{which}.png", query(i, which))
        save(root / "train" / name / "negative_example" / "0af3.png", reference(4))
        visual[name] = {
            f"./yollava-data/test/{name}/0.png": {
                "question": "What is <sks> doing?", "options": {"A": "reading", "B": "waving"},
                "correct_answer": "AB"[i % 2],
            }
        }  # fmt: skip
    write(root / "yollava-visual-qa.json", visual)
    write(root / "yollava-text-only-qa.json", text_only(2))
    return root


def text_only(count: int) -> dict[str, Any]:
    """RAP's text-only questions: the key is always A."""
    return {
        n: {
            str(k): {"question": f"Is sks number {k} or not?", "option": {"A": "yes", "B": "no"}, "correct_answer": "A"}
            for k in range(count)
        }
        for n in NAMES
    }


def rap(root: Path) -> Path:
    yollava(root)
    concepts, back, rows = {}, {}, []
    for i, name in enumerate(NAMES):
        image = f"./example_database/{name}.png"
        save(root / "example_database" / f"{name}.png", reference(i, 2))
        concepts[f"<{name}>"] = {"name": name, "image": image, "info": "a person", "category": "person"}
        back[image] = f"<{name}>"
        for shown in NAMES:
            for which in (0, 1):
                rows.append({
                    "image": f"/home/someone/yollava-data/test/{shown}/{which}.png", "concept": name,
                    "question": f"<image>\nIs <{name}> in this image? Answer with a single word or phrase.",
                    "type": "positive" if shown == name else "negative", "correct_answer": shown == name,
                })  # fmt: skip
    write(root / "example_database" / "database.json", {"concept_dict": concepts, "path_to_concept": back})
    write(root / "eval" / "recognition_test.json", rows)
    return root


def myvlm(root: Path) -> Path:
    for i, name in enumerate(NAMES):
        save(root / name / "a.jpg", reference(i))
        save(root / name / "b.jpg", query(i, 0))
        write(root / name / "captions.json", {f: [f"{name} in a park"] for f in ("a.jpg", "b.jpg")})
        write(root / name / "additional_llava_vqa_data.json", {f"{name}/a.jpg": [["What is it?", "a mug"]]})
    return root


def mc_llava(root: Path) -> Path:
    group = root / "two_concept"
    for i, name in enumerate(NAMES[:2]):
        save(group / "concept" / "train" / name / "0.png", reference(i))
        test = group / "concept" / "test" / name
        for which in (0, 1):
            save(test / f"{which}.png", query(i, which))
        asked = {"Human": f"What is <{name}> doing?\nA. reading\nB. waving\nC. singing", "AI": "B"}
        write(test / "choice.json", {f"/data/MulBench/two_concept/concept/test/{name}/0.png": asked})
        write(test / "qa.json", [{"question": f"Is <{name}> tall? A. Yes. B. No.", "answer": "A"}])
        write(test / "vqa.json", {f"{name}/0.png": {"Human": "Where?", "AI": "In a park."}})
    multi = group / "multi" / "ann_ben"
    both, bench = Image.new("RGB", (192, 96)), world()
    both.paste(query(0, 0))
    both.paste(query(1, 0), (96, 0))
    save(multi / "0.png", both)
    alone = rasterize(scene_svg(bench.pictures[pictures_of(0)[-1]]), 72)
    save(multi / "1.png", alone)
    write(multi / "position.json", {"0.png": {"ann": "left", "ben": "right"}, "1.png": {"ann": "center", "ben": None}})
    rows = [{"Human": f"What is <{n}> doing? A. reading B. waving", "AI": "A"} for n in NAMES[:2]]
    rows.append({"Human": "Who is left, <ann> or <ben>? A. <ann> B. <ben>", "AI": "A"})
    write(multi / "choice.json", {"/data/MulBench/two_concept/multi/ann_ben/0.png": rows})
    write(multi / "qa.json", [{"question": "Who is older? A. <ann> B. <ben>", "answer": "B"}])
    write(multi / "vqa.json", {"0.png": []})
    for name in ("train.json", "concept_type.json", "som_info.json"):
        write(root / name, {})
    return root


LAYOUTS = {
    "folder": folder, "plvm": authors, "yollava": yollava, "rap": rap, "myvlm": myvlm, "mc-llava": mc_llava,
}  # fmt: skip
