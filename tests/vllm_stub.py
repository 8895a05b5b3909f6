"""A server that speaks as vLLM does, as far as `plvm` asks it, and runs a backbone of ours: nothing of `plvm`'s prompts is used.

It decodes the parts of a message as vLLM's documentation has them: `prompt_embeds` is the base64 of a saved tensor [T, D], loaded
with weights_only; `image_url` a data URI. What the chat template makes of them is their order.
"""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from plvm.model.backbone import Backbone

TEMPLATE_FLAG = "Chat template is passed with request, but --trust-request-chat-template is not set."
EMBEDS_FLAG = "You must set `--enable-prompt-embeds` to input `prompt_embeds`."


class Refused(Exception):
    """A request that vLLM would answer with status 400."""


@dataclass
class Stub:
    """What the server does. `fails` are (status, body) that it answers with instead, in order; `cut` breaks streams off; with
    `processed` it tells log-probabilities as they are after biases."""

    backbone: Backbone
    embeds: bool = True
    trusting: bool = True
    key: str = ""
    cut: bool = False
    processed: bool = False
    fails: list[tuple[int, bytes]] = field(default_factory=list)
    seen: list[dict[str, Any]] = field(default_factory=list)
    hold: threading.Event | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def prompt(self, body: dict[str, Any]) -> Tensor:
        """The embeddings [1, T, D] of a request."""
        if "chat_template" in body and not self.trusting:
            raise Refused(TEMPLATE_FLAG)
        assert body["add_special_tokens"] is False
        (message,) = body["messages"]
        rows = []
        for part in message["content"]:
            if part["type"] == "prompt_embeds":
                rows.append(self._rows(part["data"]))
            else:
                data = base64.b64decode(part["image_url"]["url"].partition(",")[2], validate=True)
                picture = Image.open(io.BytesIO(data))
                (image,) = self.backbone.image_tokens(self.backbone.pixels([picture]))
                rows.append(image.rows)
        return torch.cat(rows)[None]

    def _rows(self, data: str) -> Tensor:
        if not self.embeds:
            raise Refused(EMBEDS_FLAG)
        rows = torch.load(io.BytesIO(base64.b64decode(data, validate=True)), weights_only=True)
        if rows.dim() != 2 or rows.dtype not in (torch.float32, torch.bfloat16, torch.float16):
            raise Refused("`prompt_embeds` must be a 2D tensor of shape (num_tokens, hidden_size).")
        if rows.shape[1] != self.backbone.width:
            raise Refused(f"`prompt_embeds` hidden size {rows.shape[1]} is not the model's {self.backbone.width}.")
        return rows.to(self.backbone.dtype)

    @torch.inference_mode()
    def write(self, body: dict[str, Any]) -> Iterator[tuple[int, Tensor]]:
        """(token, log-probabilities [V]) one after the other, the stop token too."""
        embeddings, past = self.prompt(body), None
        bias = torch.zeros(self.backbone.vocabulary_size)
        for token, by in body["logit_bias"].items():
            bias[int(token)] = by
        if "allowed_token_ids" in body:
            bias[[i for i in range(len(bias)) if i not in body["allowed_token_ids"]]] = -torch.inf
        while True:
            with self.lock:
                hidden, past = self.backbone.hidden(embeddings, past, keep=True)
            chances = (hidden[0, -1] @ self.backbone.head_rows.T).float().log_softmax(-1)
            token = int((chances + bias).argmax())
            if self.processed:
                chances = (chances + bias).log_softmax(-1)
            yield token, chances
            embeddings = self.backbone.word_rows[torch.tensor([[token]])]

    def replies(self, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The chunks of an answer, whole words where the tokenizer has half characters; the last one says why it ended."""
        assert body["temperature"] == 0 and body["repetition_penalty"] == 1
        ids: list[int] = []
        said, why, stopped = "", "length", None
        for token, _ in self.write(body):
            if token in body["stop_token_ids"]:
                why, stopped = "stop", token
                break
            ids.append(token)
            text = self.backbone.tokenizer.decode(ids, skip_special_tokens=True)
            if (at := min((text.find(s) for s in body["stop"] if s in text), default=-1)) >= 0:
                text, why, stopped = text[:at], "stop", body["stop"][0]
            if not text.endswith("\ufffd") and len(text) > len(said):
                yield {"choices": [{"index": 0, "delta": {"content": text[len(said) :]}, "finish_reason": None}]}
                said = text
            if why == "stop" or len(ids) == body["max_tokens"]:
                break
        if self.cut:
            return
        if why == "length" and len(text) > len(said):
            yield {"choices": [{"index": 0, "delta": {"content": text[len(said) :]}, "finish_reason": None}]}
        yield {"choices": [{"index": 0, "delta": {}, "finish_reason": why, "stop_reason": stopped}]}
        count = self.prompt(body).shape[1]
        yield {"choices": [], "usage": {"prompt_tokens": count, "completion_tokens": len(ids)}}

    def first(self, body: dict[str, Any]) -> dict[str, Any]:
        """The answer of one token, with the likeliest ones."""
        assert body["return_tokens_as_token_ids"] and body["max_tokens"] == 1
        token, chances = next(self.write(body))
        best = chances.topk(body["top_logprobs"])
        listed = [{"token": f"token_id:{i}", "logprob": p} for p, i in zip(*(t.tolist() for t in best), strict=True)]
        content = [{"token": f"token_id:{token}", "logprob": float(chances[token]), "top_logprobs": listed}]
        return {"choices": [{"message": {"content": ""}, "logprobs": {"content": content}, "finish_reason": "length"}]}


@contextmanager
def answering(stub: Stub) -> Iterator[str]:
    """Serve, and give the address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"  # an answer ends when the connection does

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing is logged."""

        def do_GET(self) -> None:
            self._send(200, {"data": [{"id": "served", "max_model_len": stub.backbone.max_tokens}]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            stub.seen.append(body)
            if stub.key and self.headers.get("Authorization") != f"Bearer {stub.key}":
                return self._send(401, {"error": "Unauthorized"})
            if stub.fails:
                status, content = stub.fails.pop(0)
                return self._send(status, content)
            assert body["model"] == "served"
            if stub.hold is not None:
                stub.hold.wait(30)
            try:
                if not body.get("stream"):
                    return self._send(200, stub.first(body))
                chunks = stub.replies(body)
                first = next(chunks)
                self._head(200, "text/event-stream")
                for chunk in chain([first], chunks):
                    self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
                    self.wfile.flush()
                self.wfile.write(b"data: [DONE]\n\n")
            except Refused as refused:
                self._send(400, {"error": {"message": str(refused), "type": "BadRequestError", "code": 400}})
            except (BrokenPipeError, ConnectionResetError):
                return None
            return None

        def _send(self, status: int, content: Any) -> None:
            self._head(status, "application/json")
            self.wfile.write(content if isinstance(content, bytes) else json.dumps(content).encode())

        def _head(self, status: int, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()

