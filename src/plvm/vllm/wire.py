"""What goes to a vLLM server, and what comes back.

A prompt is one message: rows, the picture, rows. Words go as rows too, looked up here, so that the server sees the very tokens
of the template, and `</s>` or `<image>` in a question stays what somebody typed. The chat template that comes with every request
adds nothing.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from plvm.client import Client
from plvm.engine.decoding import never_chosen
from plvm.engine.request import Request
from plvm.errors import EngineError, PlvmError, RequestError
from plvm.model.backbone import Backbone
from plvm.prompt.image_first import Prompt
from plvm.prompt.vocabulary import vocabulary_of
from plvm.types import SamplingParams

FLAGS = "--enable-prompt-embeds --trust-request-chat-template"
LIKELIEST = 20  # so many first tokens a vLLM server tells the chances of, where it is not told otherwise
_VERBATIM = (
    "{% for message in messages %}{% for part in message['content'] %}"
    "{{ part['text'] if part['type'] == 'text' else MARKER }}{% endfor %}{% endfor %}"
)


class Vllm(Client):
    """The vLLM server at `address`, asked with `key` where it needs one. Raises RequestError for what is no address and where
    httpx2 is not installed, EngineError where nothing answers in `seconds` or the server refuses."""

    @property
    def max_tokens(self) -> int | None:
        """How many tokens a prompt and its answer may have together; None where the server does not say."""
        try:
            most = self.get("/v1/models")["data"][0].get("max_model_len")
        except (LookupError, TypeError, AttributeError):
            raise self._stranger() from None
        return None if most is None else int(most)

    def _silent(self, error: Exception) -> PlvmError:
        reason = str(error) or type(error).__name__
        hint = f"Is it up? It is started with: vllm serve MODEL {FLAGS}"
        return EngineError(f"No answer came from the vLLM server at {self.address}: {reason}.", hint)

    def _stranger(self) -> PlvmError:
        return EngineError(f"What answers at {self.address} is no vLLM server.", "Name the address that `vllm serve` says.")

    def _refused(self, content: bytes, status: int) -> PlvmError:
        """What to make of an error: the server's own words, and what to do."""
        said = content[:2000].decode("utf-8", "replace")
        try:
            found = json.loads(content)
            said = str(found.get("error", found).get("message", said))
        except (ValueError, AttributeError):
            pass  # then the body is the message
        said = " ".join(said.split())[:300]
        if status == 400 and "context length" in said:
            return RequestError(f"The prompt is too long for the vLLM server: {said}", "Ask about fewer people, or less at once.")
        hints = {401: "Set VLLM_API_KEY to the server's key.", 403: "Set VLLM_API_KEY to the server's key."}
        hint = hints.get(status, "The log of the vLLM server may say more.")
        for flag in FLAGS.split():
            if flag in said:
                hint = f"Start it with that flag: vllm serve MODEL {FLAGS}"
        if "hidden" in said:
            hint = "Start it with the model that the Aligner was trained for."
        return EngineError(f"The vLLM server at {self.address} refuses with status {status}: {said}", hint)


def parts_of(backbone: Backbone, prompt: Prompt, request: Request, picture: str = "") -> tuple[list[dict[str, Any]], int]:
    """(the parts of the message that is a request's whole prompt, how many rows they have). `picture` is a data URI, "": none; in
    a prompt that defines people first, the request has one row in its place."""
    vocabulary = vocabulary_of([request.everyone], backbone.word_rows, [request.features])
    before, after = prompt.prefix()
    (mark,) = vocabulary.image_ids(1)
    shown = [mark] if picture and not prompt.definitions_first else []
    ids = [*before, *shown, *after, *request.write(prompt, vocabulary)]
    at = ids.index(mark) if picture else len(ids)
    rows = [vocabulary.embed(torch.tensor([some], device=backbone.device), backbone.word_rows)[0] if some else None
            for some in (ids[:at], ids[at + 1 :])]  # fmt: skip
    first, last = ([] if own is None else [{"type": "prompt_embeds", "data": packed(own)}] for own in rows)
    shown_as = [{"type": "image_url", "image_url": {"url": picture}}] if picture else []
    return [*first, *shown_as, *last], len(ids) - bool(picture)


def packed(rows: Tensor) -> str:
    """Rows [T, D] as vLLM reads them: a saved tensor in base64."""
    data = io.BytesIO()
    torch.save((rows.float() if rows.dtype == torch.float64 else rows).cpu().clone(), data)
    return base64.b64encode(data.getvalue()).decode()


def body_of(backbone: Backbone, prompt: Prompt, parts: Sequence[Mapping[str, Any]], params: SamplingParams) -> dict[str, Any]:
    """The body of a request, but for the model's name."""
    return {
        "messages": [{"role": "user", "content": list(parts)}],
        "chat_template": _VERBATIM.replace("MARKER", f"'{backbone.family.marker}'"),
        "add_special_tokens": False,
        "temperature": params.temperature,
        "top_p": params.top_p,
        "top_k": params.top_k or -1,
        "repetition_penalty": 1.0,  # the model's own generation_config may say otherwise
        "max_tokens": params.max_tokens,
        "logit_bias": {str(i): -100 for i in never_chosen(backbone, prompt).nonzero().flatten().tolist()},
        "stop": list(params.stop),
        "stop_token_ids": [prompt.end_id],
        "seed": params.seed,
    }


def likeliest(reply: Any) -> dict[int, float]:
    """Token id -> log-probability, of the likeliest first tokens of an answer and the one that was taken. Raises EngineError for
    what is no such answer."""
    try:
        taken = reply["choices"][0]["logprobs"]["content"][0]
        return {int(one["token"].removeprefix("token_id:")): float(one["logprob"]) for one in (*taken["top_logprobs"], taken)}
    except (LookupError, TypeError, ValueError, AttributeError):
        raise EngineError(
            "The vLLM server tells no chances of tokens.", f"Start it with --max-logprobs {LIKELIEST} or more."
        ) from None
