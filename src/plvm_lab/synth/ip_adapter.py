"""The generator "ip-adapter": Stable Diffusion with IP-Adapter (Ye et al. 2023), as in the paper's section 3.3.

From every reference face and randomly chosen prompts it makes pictures of that person in other scenes. The checkpoints
are folders or Hub ids in the layouts of the Hub; everything is computed through `diffusers`.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from plvm.data.shards import REFERENCE
from plvm.data.spec import Identity, Spec
from plvm.errors import ImageError, PlvmError, RequestError
from plvm.runtime import choose_device, choose_dtype
from plvm_lab.synth.generator import Failure, Sample
from plvm_lab.synth.photo_folder import FromPhotos, read_reference
from plvm_lab.synth.prompts import SHIPPED, read_prompts

SCHEDULERS = {
    "ddim": "DDIMScheduler", "euler": "EulerDiscreteScheduler", "dpm": "DPMSolverMultistepScheduler",
}  # fmt: skip
REFERENCE_SIDE = 512


@dataclass(frozen=True)
class AdapterSettings:
    """The spec's options for this generator. `adapter` has the weights under `adapter_folder` and its image encoder
    under `encoder_folder`; `scale` is how much the face counts beside the prompt; `guidance` how much the prompt does."""

    model: str = "stable-diffusion-v1-5/stable-diffusion-v1-5"
    adapter: str = "h94/IP-Adapter"
    adapter_folder: str = "models"
    adapter_file: str = "ip-adapter-plus-face_sd15.safetensors"
    encoder_folder: str = "models/image_encoder"
    scheduler: str = "ddim"
    steps: int = 50
    scale: float = 0.6
    guidance: float = 7.5
    batch: int = 5
    negative: str = "deformed, blurry, several people, text, watermark"
    prompts: str = ""
    safety: bool = True
    device: str | None = None
    dtype: str | None = None

    def __post_init__(self) -> None:
        if self.scheduler not in SCHEDULERS:
            raise RequestError(
                f'There is no scheduler "{self.scheduler[:40]}".', f"The schedulers are: {', '.join(SCHEDULERS)}."
            )
        if self.steps < 1 or self.batch < 1 or self.scale < 0:
            raise RequestError("Steps and batch must be at least 1, the scale at least 0.", "Correct them.")


def settings_of(spec: Spec) -> AdapterSettings:
    """The settings in a spec's options; options of others are left alone."""
    own = {f.name for f in fields(AdapterSettings)}
    return AdapterSettings(**{k: v for k, v in spec.options.items() if k in own and v is not None})


class AdapterGenerator(FromPhotos):
    """Makes pictures of the faces in a folder; `pipeline` is a StableDiffusionPipeline with a loaded IP-Adapter."""

    def __init__(self, spec: Spec, pipeline: Any | None = None) -> None:
        super().__init__(spec)
        self.settings = settings_of(spec)
        self.prompts = read_prompts(Path(self.settings.prompts) if self.settings.prompts else SHIPPED)
        self.batch = self.settings.batch
        if pipeline is not None:
            self.pipeline = pipeline

    @cached_property
    def pipeline(self) -> Any:
        """Loaded when the first picture is made: who only plans needs no weights in memory."""
        return load_pipeline(self.settings)

    def inputs(self) -> Mapping[str, str]:
        return {**super().inputs(), "prompts": hashlib.sha256("\n".join(self.prompts).encode()).hexdigest()}

    def make(self, identity: Identity) -> tuple[list[Sample], list[Failure]]:
        path = self.photos[identity.key].reference
        try:
            reference = read_reference(path, self.reader, max(self.spec.size, REFERENCE_SIDE))
        except ImageError as error:
            return [], [Failure(REFERENCE, error.message)]
        rng = random.Random(f"plvm-synth/{self.spec.seed}/{identity.key}")
        count = self.spec.per_identity
        prompts = [
            p for _ in range(-(-count // len(self.prompts))) for p in rng.sample(self.prompts, len(self.prompts))
        ]
        who = (identity.key,)
        samples, failures = [Sample(REFERENCE, who, reference, "", {"file": path.name})], []
        for i, (image, flagged) in enumerate(self._pictures(identity.key, reference, prompts[:count])):
            if flagged:
                failures.append(Failure(str(i), "the safety checker refused it"))
            else:
                samples.append(Sample(str(i), who, image, prompts[i]))
        return samples, failures

    def _pictures(self, key: str, reference: Image.Image, prompts: Sequence[str]) -> Iterator[tuple[Image.Image, bool]]:
        """A picture per prompt and whether the safety checker flagged it. What does not fit into memory is tried again
        in halves."""
        done = 0
        while done < len(prompts):
            chosen = prompts[done : done + self.batch]
            seeds = [seed_of(self.spec.seed, key, done + i) for i in range(len(chosen))]
            try:
                found = self._batch(reference, chosen, seeds)
            except torch.OutOfMemoryError:
                if self.batch == 1:
                    raise PlvmError(
                        "One picture does not fit into the memory of the device.",
                        "Use --dtype float16 or a smaller --size, then start again: finished shards are kept.",
                    ) from None
                self.batch = -(-self.batch // 2)
                torch.cuda.empty_cache()
                continue
            done += len(chosen)
            yield from found

    @torch.inference_mode()
    def _batch(
        self, reference: Image.Image, prompts: Sequence[str], seeds: Sequence[int]
    ) -> list[tuple[Image.Image, bool]]:
        pipe, settings, n = self.pipeline, self.settings, len(prompts)
        guided = settings.guidance > 1
        faces = pipe.prepare_ip_adapter_image_embeds([reference], None, pipe.device, 1, guided)
        # With guidance the rows are the empty face, then the face: each once per prompt.
        embeds = [
            torch.cat([part.repeat(n, *[1] * (f.ndim - 1)) for part in f.chunk(2 if guided else 1)]) for f in faces
        ]
        out = pipe(
            prompt=list(prompts), negative_prompt=[settings.negative] * n, ip_adapter_image_embeds=embeds,
            num_inference_steps=settings.steps, guidance_scale=settings.guidance, height=self.spec.size,
            width=self.spec.size, generator=[torch.Generator("cpu").manual_seed(s) for s in seeds],
        )  # fmt: skip
        flags = out.nsfw_content_detected or [False] * n
        return list(zip((i.convert("RGB") for i in out.images), map(bool, flags), strict=True))

    def describe(self) -> Mapping[str, str]:
        s = self.settings
        return {
            "generator": "ip-adapter", "model": s.model, "adapter": f"{s.adapter} {s.adapter_file}",
            "sampling": f"{s.scheduler}, {s.steps} steps, scale {s.scale:g}, guidance {s.guidance:g}",
            "prompts": f"{len(self.prompts):,}", "safety checker": "on" if s.safety else "off",
        }  # fmt: skip


def seed_of(seed: int, key: str, number: int) -> int:
    """The seed of one picture: its own, so that batches do not matter."""
    return int.from_bytes(hashlib.sha256(f"plvm-adapter/{seed}/{key}/{number}".encode()).digest()[:6], "big")


def load_pipeline(settings: AdapterSettings) -> Any:
    """Stable Diffusion with the IP-Adapter in it. Raises RequestError where diffusers or a checkpoint is missing."""
    try:
        import diffusers
    except ImportError:
        raise RequestError(
            "The ip-adapter generator needs diffusers.", 'Install it with: pip install "plvm[ip-adapter]"'
        ) from None
    from transformers import CLIPVisionModelWithProjection

    device = choose_device(settings.device).value
    dtype = choose_dtype(settings.dtype, device=device).value
    with _refused(f"{settings.adapter}/{settings.encoder_folder}", "--adapter"):
        encoder = CLIPVisionModelWithProjection.from_pretrained(
            settings.adapter, subfolder=settings.encoder_folder, dtype=dtype
        )
    with _refused(settings.model, "--sd"):
        pipe = diffusers.StableDiffusionPipeline.from_pretrained(
            settings.model, image_encoder=encoder, torch_dtype=dtype,
            **({} if settings.safety else {"safety_checker": None, "requires_safety_checker": False}),
        )  # fmt: skip
    if settings.safety and pipe.safety_checker is None:
        raise RequestError(f"{settings.model} has no safety checker.", "Choose a model with one, or say --no-safety.")
    pipe.scheduler = getattr(diffusers, SCHEDULERS[settings.scheduler]).from_config(pipe.scheduler.config)
    with _refused(f"{settings.adapter}/{settings.adapter_folder}/{settings.adapter_file}", "--adapter"):
        pipe.load_ip_adapter(
            settings.adapter, subfolder=settings.adapter_folder, weight_name=settings.adapter_file,
            image_encoder_folder=None,
        )  # fmt: skip
    pipe.set_ip_adapter_scale(settings.scale)
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(device)


@contextmanager
def _refused(what: str, option: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # the loaders and the network have many errors
        raise RequestError(
            f"{what} cannot be loaded ({type(error).__name__}: {str(error)[:160]}).",
            f"Name its folder or Hub id with {option}.",
        ) from None
