"""Verbs whose work a running server does: no model is loaded here, nor torch."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from plvm.cli import options as o
from plvm.cli.console import count, out, out_json, say, table
from plvm.cli.which_face import tell_strangers
from plvm.errors import RequestError
from plvm.naming.display import label

if TYPE_CHECKING:
    from plvm.client import Client


@dataclass(frozen=True)
class ServerOptions:
    """Which server does the work."""

    server: Annotated[
        str | None,
        Option("--server", metavar="URL", help="Let a running `plvm serve` do it, with its model and its store; a key that it "
               "needs is in PLVM_API_KEY.", show_default="PLVM_SERVER, if it is set"),
    ] = None  # fmt: skip

    def client(self, *local: o.StoreOptions | o.ModelOptions) -> Client | None:
        """The server, None where there is none. `local` are options that are of no use with one. Raises RequestError where they
        are given."""
        address = self.server if self.server is not None else os.environ.get("PLVM_SERVER", "")
        if not address:
            return None
        if any(options != type(options)() for options in local):
            raise RequestError(
                f"The store and the model are those of {address}: options that choose them here are of no use.",
                "Leave them out; or leave out --server and PLVM_SERVER.",
            )
        from plvm.client import Client

        return Client(address, os.environ.get("PLVM_API_KEY", ""))


def fields_of(sampling: o.SamplingOptions, naming: o.NameOptions) -> dict[str, Any]:
    """What a request says about how to answer. Raises RequestError for what a server cannot be told."""
    params = sampling.params()
    if params.top_k or naming.exact_names:
        raise RequestError("A server knows neither --top-k nor --exact-names.", "Leave them out; write names as <billie>.")
    fields = {"temperature": params.temperature, "top_p": params.top_p, "max_tokens": params.max_tokens, "seed": params.seed}
    return fields | {"stop": list(params.stop) or None, "names": "words" if naming.as_words else "shown"}


def ask(client: Client, file: str | None, question: str, fields: dict[str, Any], *, json: bool) -> None:
    """`plvm ask`."""
    from plvm.client import picture_part

    content = [*([] if file is None else [picture_part(file)]), {"type": "text", "text": question}]
    messages = [{"role": "user", "content": content}]
    if not json:
        stream_out(client, messages, fields)
        return
    begun = time.perf_counter()
    told = client.ask(messages, **fields | {"names": "words"})
    seconds = time.perf_counter() - begun
    choice, usage, ours = told["choices"][0], told["usage"], told["plvm"]
    text = shown = choice["message"]["content"]
    if fields["names"] != "words":
        for name in ours["names"]:
            shown = shown.replace(f"<{name}>", client.person(name)["shown"])
    prompt, cached = usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"]
    out_json({
        "image": file, "question": question, "answer": text, "shown": shown, "names": ours["names"],
        "concepts": ours["concepts"], "finish": choice["finish_reason"], "prompt_tokens": prompt,
        "computed_tokens": prompt - cached, "new_tokens": usage["completion_tokens"], "seconds": round(seconds, 4),
        "unlike": ours["unlike"],
    })  # fmt: skip
    _warn(ours)


def stream_out(client: Client, messages: list[Any], fields: dict[str, Any]) -> tuple[str, list[str]]:
    """Write an answer as it comes; returns it, and the words of those who are in the prompt."""
    text, ours = "", dict[str, Any]()
    for chunk in client.stream(messages, **fields):
        ours = chunk.get("plvm", ours)
        for choice in chunk["choices"]:
            piece = choice["delta"].get("content") or ""
            text += piece
            out(piece, end="")
    out()
    _warn(ours)
    return text, ours["concepts"]


def recognize(client: Client, files: list[str], *, json: bool) -> None:
    """`plvm recognize`."""
    from plvm.client import data_uri

    found = [client.post("/v1/recognize", {"image": data_uri(file)}) for file in files]
    for told in found:
        if not told["people"]:
            raise RequestError("Nobody is enrolled yet.", "Enrol someone first: `plvm add NAME PICTURE`.")
        told["people"].sort(key=lambda p: -(p["probability"] or 0.0))
    if json:
        out_json([
            {"image": file, "present": {p["name"]: p["probability"] for p in told["people"]},
             "verdicts": {p["name"]: p["verdict"] for p in told["people"]}, "unlike": told["unlike"]}
            for file, told in zip(files, found, strict=True)
        ])  # fmt: skip
        return
    several = len(files) > 1
    rows = [
        (*([file] if several else []), p["shown"], _percent(p), p["verdict"])
        for file, told in zip(files, found, strict=True)
        for p in told["people"]
    ]
    out(table(rows, (*(["IMAGE"] if several else []), "NAME", "P(PRESENT)", "VERDICT")))


def who(client: Client, file: str, *, json: bool) -> None:
    """`plvm who`."""
    people = places(client, file)
    groups = {verdict: [p for p in people if p["verdict"] == verdict] for verdict in ("yes", "unsure")}
    if json:
        keys = ("name", "verdict", "probability", "evidence", "place")
        own = {name: [{k: p[k] for k in keys} for p in group] for name, group in groups.items()}
        out_json({"image": file, "who": own["yes"], "unsure": own["unsure"]})
    else:
        out(told_places(groups))


def places(client: Client, file: str) -> list[Any]:
    """Those who are in a picture, or may be, with where they are."""
    from plvm.client import data_uri

    people: list[Any] = client.post("/v1/describe", {"image": data_uri(file)})["people"]
    return people


def told_places(groups: dict[str, list[Any]]) -> str:
    """Those who are there as a table, and the unsure ones as another under it."""
    parts = [] if groups["yes"] else ["Nobody I know for sure." if groups["unsure"] else "Nobody I know."]
    for verdict, header in (("yes", "NAME"), ("unsure", "UNSURE")):
        rows = [(p["shown"], _percent(p), p["place"] or "") for p in groups[verdict]]
        if rows:
            parts.append(table(rows, (header, "P(PRESENT)", "WHERE, SAYS THE MODEL")))
    return "\n\n".join(parts)


def add(
    client: Client, name: str, files: list[str], *, notes: str, consent: str, replace: bool, json: bool, meant: dict[str, Any]
) -> None:
    """`plvm add NAME IMAGE...`; `meant`: which face or box of the picture."""
    begun = time.perf_counter()
    told = enrol(client, name, files, notes=notes, consent=consent, replace=replace, **meant)
    odd = [files[number] for number in told["strangers"] or ()]
    tell_strangers(told["name"], odd, len(files))
    seconds = time.perf_counter() - begun
    if json:
        facts = {"name": told["name"], "display": told["shown"], "pictures": told["pictures"], "seconds": round(seconds, 4)}
        out_json({"enrolled": [facts | {"unlike": max(told["unlike"] or [], default=None), "strangers": odd}], "skipped": []})
    else:
        called = label(told["name"], told["shown"] if told["shown"] != told["name"] else "")
        out(f"Enrolled {called} from {count(told['pictures'], 'picture')} in {1000 * seconds:.0f} ms.")


def enrol(
    client: Client, name: str, files: list[str], *, notes: str = "", consent: str = "", replace: bool = False, **meant: Any
) -> Any:
    """Somebody from the pictures in files, as the server keeps them."""
    from plvm.client import data_uri

    images = [data_uri(file) for file in files]
    body = {"name": name, "images": images, "notes": notes, "consent": consent, "replace": replace} | meant
    return client.post("/v1/concepts", body)


def list_(client: Client, *, search: str, limit: int, after: str | None, json: bool) -> None:
    """`plvm list`."""
    people = list(islice(client.people(search, after), limit))
    if json:
        out_json([{key: value for key, value in p.items() if key not in ("object", "unlike")} for p in people])
    elif not people:
        say("Nobody matches." if search or after is not None else "Nobody is enrolled yet: `plvm add NAME PICTURE`.")
    else:
        rows = [
            (label(p["name"], p["shown"]) if p["shown"] != p["name"] else p["name"] + (" (damaged)" if p["damage"] else ""),
             p["pictures"], p["created"][:10], p["notes"])
            for p in people
        ]  # fmt: skip
        out(table(rows, ("NAME", "PICTURES", "ADDED", "NOTES")))


def _percent(person: Any) -> str:
    return "-" if person["probability"] is None else f"{person['probability']:.3f}"


def _warn(ours: Any) -> None:
    if ours.get("warning"):
        say(ours["warning"])
