"""Who looks at the pictures of a spec: our own judge at portraits, CLIP and ArcFace at photographs."""

from __future__ import annotations

from plvm.data.spec import Spec
from plvm_lab.synth.filters import FaceReader, Filters, TextMatcher

CLIP = "openai/clip-vit-base-patch32"


def build_filters(spec: Spec) -> Filters:
    """The filters of a spec that wants some. Raises RequestError or CheckpointError where their models are not to be
    had."""
    face = face_reader(spec)
    text = None if spec.generator == "photos" else text_matcher(spec)
    several = bool(spec.options.get("several_faces"))
    return Filters(text, face, spec.text_threshold, spec.face_threshold, several)


def is_drawn(spec: Spec) -> bool:
    """Whether the pictures are drawn portraits, or photos of them, for which a judge is named."""
    return spec.generator == "portraits" or bool(spec.options.get("judge"))


def face_reader(spec: Spec) -> FaceReader:
    """What finds faces and tells who they are."""
    if is_drawn(spec):
        from plvm_lab.synth.portrait_judge import load_judge

        return load_judge(spec.options.get("judge"))
    from plvm_lab.synth.arcface import load_arcface

    return load_arcface(spec.options.get("faces"), spec.options.get("device"))


def text_matcher(spec: Spec) -> TextMatcher:
    """What compares pictures with prompts."""
    if is_drawn(spec):
        from plvm_lab.synth.portrait_judge import load_judge

        return load_judge(spec.options.get("judge"))
    from plvm_lab.synth.clip_matcher import load_clip

    return load_clip(str(spec.options.get("clip", CLIP)), spec.options.get("device"))
