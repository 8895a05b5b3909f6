"""The photo family from a folder of photographs, stage by stage, resumable.

    codes -> language -> export -> align -> verdicts

Each stage writes into the build folder; what is there is not made again. `weights/` holds the family as `plvm.load` takes it:
backbone/ and encoder/, which name the frozen parts of others, and aligner/.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from plvm.data.dataset import Dataset
from plvm.data.spec import Spec
from plvm.errors import CheckpointError, ImageError, RequestError
from plvm.images import open_image
from plvm.model.aligner import AlignerConfig
from plvm.model.backbone import Backbone
from plvm.model.checkpoint import FAMILIARITY, load_aligner, save_aligner
from plvm.model.photo import photo_parts
from plvm.model.photo.face_processor import CodeSpace, FaceProcessor
from plvm.model.photo.photo_files import PhotoSettings, Spaces, load_processor, save_photo_encoder, save_photo_model
from plvm.model.photo.photo_model import PhotoConfig
from plvm.model.photo.photo_reference import PhotoReferenceConfig
from plvm.model.pretrained import load_backbone, load_encoder
from plvm.personal import load
from plvm.presence.calibration import save_calibration
from plvm.train.calibrating import calibration_of
from plvm.train.initialization import read_names, untrained
from plvm.train.loop import Report
from plvm.train.prepare import prepare
from plvm.train.settings import Data, Settings, Shape, Steps
from plvm_lab.evaluate import photo_people, thing_pictures
from plvm_lab.families.photo import code_space, photo_codes, photo_language, photo_things
from plvm_lab.families.photo.low_rank import updates_of
from plvm_lab.families.photo.photo_card import write_card
from plvm_lab.families.photo.photo_language import Pools, Teaching, load_trained, measure, teach, untaught
from plvm_lab.families.photo.photo_things import ThingViews
from plvm_lab.families.photo.space_teaching import SpaceTeaching
from plvm_lab.families.photo.thing_pool import ThingPool
from plvm_lab.synth.pipeline import synthesize

STAGES = ("codes", "language", "export", "align", "verdicts")
SHAPE = Shape("anchored", K=1, blocks=2)


@dataclass(frozen=True)
class PhotoRecipe:
    """Everything that decides a build but its photographs: who and what is kept for tests and validation, how many pictures of
    things are made, how the directions of faces and the language model are taught, how long the Aligner is trained, and in what
    share of its steps with `distractors` in the prompt, which needs five people for training and five for validation."""

    seed: int = photo_people.SEED
    test: int = photo_people.TEST
    val: int = photo_people.VAL
    strangers: int = photo_people.STRANGERS
    things_seed: int = thing_pictures.SEED
    things_test: int = thing_pictures.TEST
    things_val: int = thing_pictures.VAL
    views: ThingViews = ThingViews()
    val_views: ThingViews = ThingViews(6, 8, 16)
    space: SpaceTeaching = SpaceTeaching()
    model: PhotoConfig = dataclasses.field(default_factory=PhotoConfig)
    settings: PhotoSettings = dataclasses.field(default_factory=PhotoSettings)
    teaching: Teaching = dataclasses.field(default_factory=Teaching)
    resampler_width: int = 96
    picture_size: int = 1024
    distractors: float = 0.5
    align: Steps = dataclasses.field(default_factory=lambda: Steps(steps=60, w=4.0, lr=1e-4, warmup=20, trackers=""))


@dataclass
class PhotoBuild:
    """A build of `photos` of people and `things` in `folder`, with the frozen parts in the folder `parts`."""

    recipe: PhotoRecipe
    photos: Path
    things: Path
    folder: Path
    parts: Path
    report: Report

    def split(self) -> photo_people.Split:
        """Who is for what, as the stage "codes" decided it."""
        path = self.folder / "split.json"
        if not path.exists():
            raise CheckpointError(f"{path} is missing.", "Run the stage `codes` first.")
        split: photo_people.Split = json.loads(path.read_text())
        return split

    def pools(self) -> tuple[Spaces, Pools, Pools]:
        """The spaces of codes, those to train on, those for validation."""
        model = self.recipe.model
        faces, *people = photo_codes.pools(self.folder / "codes", self.split(), model.code_width, self.recipe.space)
        held = [dict(np.load(self.folder / f"things_{part}.npz")) for part in ("train", "val")]
        directions = photo_parts.load_thing_code(self.parts).directions(model.thing_width)
        things = code_space.CodeSpace(held[0]["reference"].astype(np.float32).mean(0), directions.numpy())
        train, val = zip(people, (ThingPool.of(own, things) for own in held), strict=True)
        return Spaces(_product(faces), _product(things)), train, val

    def faces(self) -> FaceProcessor:
        """The reader of faces, without codes."""
        finder, face_code = photo_parts.load_finder(self.parts), photo_parts.load_face_code(self.parts)
        return FaceProcessor(finder, face_code, CodeSpace(torch.zeros(128), torch.zeros(128, 1)), self.recipe.settings.faces)

    def untaught(self, spaces: Spaces) -> Backbone:
        """The photo model before it is taught."""
        language, tokenizer = photo_parts.load_language(self.parts)
        processor = load_processor(self.parts, spaces, self.recipe.settings)
        return untaught(language, tokenizer, processor, self.recipe.model, self.recipe.teaching.seed)

    # ---- stages
    def run_codes(self) -> None:
        """Split the people and the things, and describe faces and windows."""
        self.folder.mkdir(parents=True, exist_ok=True)
        people, recipe = photo_people.people_in(self.photos), self.recipe
        split = photo_people.split_people(people, recipe.seed, test=recipe.test, val=recipe.val, strangers=recipe.strangers)
        (self.folder / "split.json").write_text(json.dumps(split, indent=1))
        photo_codes.describe_people(self.faces(), people, self.folder / "codes", self.report)
        things, net = photo_people.people_in(self.things), photo_parts.load_thing_code(self.parts)
        seed, short = recipe.things_seed, recipe.settings.things.short
        kinds = thing_pictures.split_things(tuple(things), seed, test=recipe.things_test, val=recipe.things_val)
        (self.folder / "things.json").write_text(json.dumps(kinds, indent=1))
        for part, how in (("train", recipe.views), ("val", recipe.val_views)):
            own, behind = {n: things[n] for n in kinds[part]}, [file for name in split[part] for file in people[name]]
            path = self.folder / f"things_{part}.npz"
            photo_things.describe_things(net, own, behind, path, how, seed, short, self.report)

    def run_language(self) -> None:
        """Teach the language model, and measure it on people for validation."""
        spaces, train, val = self.pools()
        backbone = self.untaught(spaces)
        teach(backbone, train, self.recipe.teaching, self.folder, self.report)
        found = {
            wordings: measure(backbone, val, held_out=wordings == "held out", teaching=self.recipe.teaching)
            for wordings in ("trained", "held out")
        }
        (self.folder / "language.json").write_text(json.dumps(found, indent=1))

    def run_export(self) -> None:
        """Write backbone and encoder, and an Aligner as training begins, to `weights/`."""
        spaces, _, _ = self.pools()
        backbone, weights, recipe = self.untaught(spaces), self.folder / "weights", self.recipe
        state = torch.load(self.folder / f"{photo_language.STAGE}.pt", weights_only=True)
        load_trained(backbone, state["weights"])
        updates = updates_of(backbone.model.language)
        save_photo_model(weights / "backbone", backbone.model, dict(updates), spaces, recipe.settings)
        model = recipe.model
        encoder = PhotoReferenceConfig(model.code_width + model.thing_width, model.thing_width, model.parts)
        save_photo_encoder(weights / "encoder", encoder, spaces, recipe.settings)
        loaded, reader = load_backbone(weights / "backbone"), load_encoder(weights / "encoder")
        own = AlignerConfig(
            width=loaded.width, resampler_width=recipe.resampler_width, mlp_hidden=2 * recipe.resampler_width, heads=4,
            free_tokens=1, code_width=encoder.hidden_size,
        )  # fmt: skip
        aligner = untrained(SHAPE, own, loaded, reader, recipe.seed, read_names(str(weights / "backbone")))
        aligner.config = dataclasses.replace(aligner.config, backbone="../backbone", encoder="../encoder")
        save_aligner(weights / "aligner", aligner, loaded.template(), {"steps": 0})

    def run_align(self) -> None:
        """Train the Aligner on photographs of the people and things to train on, and put it into `weights/`."""
        weights, out = self.folder / "weights", self.folder / "aligner"
        self._chosen()
        spec = Spec(
            "photos", 0, 4, self.recipe.seed, self.recipe.picture_size, shares=(0.9, 0.1, 0.0), filters=False,
            options={"references": str(self.folder / "chosen")},
        )  # fmt: skip
        synthesize(spec, self.folder / "people", report=lambda done, of: self.report("people", done, of, {}))
        settings = Settings(Data(attribute=0.0, distractors=self.recipe.distractors), SHAPE, self.recipe.align)
        trainer = prepare(
            self.folder / "people", out, settings, model=str(weights / "aligner"), device="cpu", offline=True,
            cache=self.folder / "cache",
        )  # fmt: skip
        trainer.run(lambda _, step, steps, figures: self.report("align", step, steps, figures))
        aligner, template, record = load_aligner(out)
        aligner.config = dataclasses.replace(aligner.config, backbone="../backbone", encoder="../encoder")
        save_aligner(weights / "aligner", aligner, template, record)
        shutil.copyfile(out / FAMILIARITY, weights / "aligner" / FAMILIARITY)

    def run_verdicts(self) -> None:
        """Fit what a yes needs, on people for validation whom the Aligner was not trained on, and write the model card. It says
        where they are too few."""
        vlm, dataset, left_out = load(self.folder / "weights" / "aligner", device="cpu"), Dataset(self.folder / "people"), ""
        try:
            people = dataset.split("val")
            found = calibration_of(vlm, dataset, people, report=lambda what, done, of: self.report(what, done, of, {}))
            save_calibration(self.folder / "weights" / "aligner", found, vlm.fingerprint)
        except RequestError as error:
            left_out = str(error)
        write_card(self.folder, dataclasses.asdict(self.recipe), left_out)

    def _chosen(self) -> None:
        """A folder of links to the pictures of those of the people and things to train on that have several; the first picture
        that can be a reference is called so."""
        processor, people, things = self.faces(), photo_people.people_in(self.photos), photo_people.people_in(self.things)
        train = json.loads((self.folder / "things.json").read_text())["train"]
        files = {name: people[name] for name in self.split()["train"]} | {f"thing-{name}": things[name] for name in train}
        several = {name: own for name, own in files.items() if len(own) > 1}
        for number, (name, own) in enumerate(several.items()):
            place = self.folder / "chosen" / name
            if not place.exists():
                whole = name not in people
                reference = next((file for file in own if whole or _usable(processor, file)), None)
                partial = place.with_name(f".{name}.partial")
                shutil.rmtree(partial, ignore_errors=True)
                if reference is not None:
                    partial.mkdir(parents=True)
                    for file in own:
                        (partial / f"{'ref-' if file == reference else ''}{file.name}").symlink_to(file.resolve())
                    partial.rename(place)
            self.report("references", number + 1, len(several), {})


def build_photo(
    photos: Path | None, things: Path | None, folder: Path, stages: str = "all", *, report: Report, threads: int = 2,
    recipe: PhotoRecipe | None = None,
) -> Path:  # fmt: skip
    """Build the photo family of `photos` of people and of `things` in `folder`, or some stages of it ("codes,language"), with
    this machine's frozen parts; returns where it is. Raises RequestError for unknown stages and where there are no
    photographs."""
    if photos is None or things is None:
        raise RequestError("The photo family is built from photographs.", "Name their folders: --photos DIR --things DIR.")
    wanted = STAGES if stages == "all" else tuple(stages.split(","))
    if unknown := [stage for stage in wanted if stage not in STAGES]:
        raise RequestError(f'There is no stage "{unknown[0][:40]}".', f"The stages are: {', '.join(STAGES)}.")
    torch.set_num_threads(threads)
    build = PhotoBuild(recipe or PhotoRecipe(), photos, things, folder, photo_parts.parts_folder(), report)
    for stage in wanted:
        getattr(build, f"run_{stage}")()
    return folder / "weights"


def _usable(processor: FaceProcessor, file: Path) -> bool:
    try:
        processor.reference(open_image(file))
    except ImageError:
        return False
    return True


def _product(space: code_space.CodeSpace) -> CodeSpace:
    return CodeSpace(torch.from_numpy(space.mean), torch.from_numpy(space.directions))
