"""An album captioned by `plvm caption` alone, which gets kill -9 several times and is started again by the same command.

    python research/benchmarks/photo_captions.py --model FAMILY/aligner --photos PHOTOS    # research/results/photo_captions.json

The photographs, of people that the family was not trained on, are copied under numbers; test people with several of them are
enrolled from one each. Twice and missing are counted over all runs: a caption that was said again, and a photograph that has
none in the end. A name is right where the photograph is filed under that person, whoever else is in it. Claim: nothing missing,
nothing damaged, and twice at most what is written side by side, for each kill. Up to half an hour on two cores. No name of
anybody and no picture goes into the result.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from plvm.cli.captions import TOGETHER
from plvm.sidecars.json_sidecar import JsonSidecar
from plvm.sidecars.watch import Watched
from plvm.sidecars.xmp import XmpSidecar
from plvm_lab.evaluate.photo_people import SEED, STRANGERS, TEST, VAL, people_in, split_people
from plvm_lab.evaluate.result_table import Table, lasting

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, Shown, progress, write_result

PLVM = [sys.executable, "-c", "from plvm.cli.program import run; run()"]
SEVERAL = 10  # photographs that somebody has who is enrolled


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="the Aligner's folder of a photo family")
    parser.add_argument("--photos", type=Path, required=True, help="PHOTOS/NAME/picture.jpg")
    parser.add_argument("--count", type=int, default=1000, help="photographs")
    parser.add_argument("--known", type=int, default=5, help="people who are enrolled")
    parser.add_argument("--people", type=int, nargs=3, metavar=("TEST", "VAL", "STRANGERS"), default=(TEST, VAL, STRANGERS),
                        help="how the people were split, if not as usual")  # fmt: skip
    parser.add_argument("--several", type=int, default=SEVERAL, help="photographs that each of them has in the album")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path("build/photo_captions"), help="the album and the store")
    parser.add_argument("--out", type=Path, default=RESULTS / "photo_captions.json")
    chosen = parser.parse_args()
    album, options = chosen.work / "album", ["--model", str(chosen.model), "--store", str(chosen.work / "store.db")]
    shutil.rmtree(chosen.work, ignore_errors=True)
    album.mkdir(parents=True)
    friends, pictures = chosen_from(chosen.photos, chosen.people, chosen.count, chosen.known, chosen.several)
    for number, (file, _) in enumerate(pictures):
        shutil.copy(file, album / f"{number:05}{file.suffix}")
    known = sum(enrolled(friend, file, options) for friend, file in friends.items())
    words = ["caption", str(album), "--json", "--xmp", "--sheet", str(chosen.work / "album.html"), *options]
    stops = [chosen.count * (n + 1) // (chosen.kills + 1) for n in range(chosen.kills)]
    begun = time.perf_counter()
    said = [line for stop in (*stops, None) for line in captioned(words, album, stop, chosen.count)]
    seconds = time.perf_counter() - begun
    damaged: list[Path] = []
    missing = Watched(album, [JsonSidecar(), XmpSidecar()]).waiting(lambda file, _: damaged.append(file), all_=True)
    captions = {int(file.name[:5]): json.loads(file.read_text(encoding="utf-8")) for file in album.glob("*.plvm.json")}
    found = {of: names_in(captions, pictures, of) for of in ("people", "unsure")}
    figures = {
        "count": chosen.count, "known": known, "several": chosen.several, "kills": chosen.kills, "together": TOGETHER,
        "threads": torch.get_num_threads(),
        "seconds": seconds, "captions": len(captions), "missing": len(missing), "damaged": len(damaged),
        "twice": len(said) - len(set(said)), "names": found,
        "most_wrong": most_wrong(captions, pictures),
    }  # fmt: skip
    write_result(chosen.out, SEED, figures, shown(figures))
    print({name: figures[name] for name in ("seconds", "captions", "missing", "damaged", "twice", "names")})


def chosen_from(
    photos: Path, sizes: Sequence[int], count: int, known: int, several: int
) -> tuple[dict[str, Path], list[tuple[Path, str]]]:
    """The reference of each of `known` test people, and `count` other photographs with whom they show of these, `several` of
    each; the rest are of other people that nothing was trained on."""
    rng, people = random.Random("plvm-photo-captions"), people_in(photos)
    split = split_people(people, SEED, **dict(zip(("test", "val", "strangers"), sizes, strict=True)))
    friends = rng.sample(sorted(name for name in split["test"] if len(people[name]) > several), known)
    called = {name: f"friend{number}" for number, name in enumerate(friends)}
    pictures = [(file, called[name]) for name in friends for file in people[name][1 : several + 1]]
    rest = sorted(name for part, names in split.items() if part != "train" for name in names if name not in called)
    pictures += rng.sample([(file, "") for name in rest for file in people[name]], count - len(pictures))
    rng.shuffle(pictures)
    return {called[name]: people[name][0] for name in friends}, pictures


def names_in(captions: Mapping[int, Any], pictures: Sequence[tuple[Path, str]], of: str) -> dict[str, int]:
    """How many of the names in captions are of who is there, and how many are not."""
    said = [seen["word"] == pictures[number][1] for number, caption in captions.items() for seen in caption[of]]
    return {"right": sum(said), "wrong": len(said) - sum(said)}


def most_wrong(captions: Mapping[int, Any], pictures: Sequence[tuple[Path, str]]) -> int:
    """Of the names in captions that are of nobody there, how many are one person's."""
    names = ((seen["word"], pictures[number][1]) for number, caption in captions.items() for seen in caption["people"])
    return max(Counter(name for name, there in names if name != there).values(), default=0)


def enrolled(name: str, file: Path, options: Sequence[str]) -> bool:
    """Whether a photograph could be somebody's reference."""
    return subprocess.run([*PLVM, "add", name, str(file), *options], capture_output=True, check=False).returncode == 0


def captioned(words: Sequence[str], album: Path, stop: int | None, count: int) -> list[str]:
    """Run the command, to its end or until `stop` photographs have captions; then it gets kill -9. The photographs it told of."""
    with subprocess.Popen([*PLVM, *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        told: list[str] = []
        for line in process.stdout:
            told.append(line.partition(":")[0])
            done = sum(1 for _ in album.glob("*.plvm.json"))
            progress("captions", done, count)
            if stop is not None and done >= stop:
                process.send_signal(signal.SIGKILL)
                told += [rest.partition(":")[0] for rest in process.stdout]
        status = process.wait()
    if status not in (0, -signal.SIGKILL):
        raise SystemExit(f"plvm caption ended with {status}.")
    return told


def minutes(seconds: float) -> str:
    """How long that is, to the minute."""
    return f"{seconds / 60:.0f} minutes"


def shown(figures: Mapping[str, Any]) -> Shown:
    """What the report shows of the result file."""
    per = figures["seconds"] / figures["count"]
    header = (
        "photographs", "people enrolled", "kill -9", "whole time", "a photograph", "1,000 photographs", "missing", "damaged",
        "twice", "right names", "wrong names",
    )  # fmt: skip
    row = (
        f"{figures['count']:,}", str(figures["known"]), str(figures["kills"]), minutes(figures["seconds"]), lasting(per),
        minutes(1000 * per), *(str(figures[what]) for what in ("missing", "damaged", "twice")),
        str(figures["names"]["people"]["right"]), str(figures["names"]["people"]["wrong"]),
    )  # fmt: skip
    there, unsure = figures["known"] * figures["several"], figures["names"]["unsure"]
    note = (
        f"Photographs of 250 pixels, on {figures['threads']} threads, {figures['together']} captions written side by side; JSON, "
        f"XMP and a sheet. {there} of them show somebody who is enrolled; nothing was trained on anybody in them. "
        f"{figures['most_wrong']} of the wrong names are one person's. Of {unsure['right']} more who are there, and of "
        f"{unsure['wrong']} who are not, captions say that they may be. Every start loads the model again; that is counted."
    )
    return Shown((Table("An album captioned, killed and taken up again", header, (row,), note),))


if __name__ == "__main__":
    main()
