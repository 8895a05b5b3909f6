"""`plvm ask`: one question, one answer."""

from __future__ import annotations

from typing import Annotated

from typer import Argument, Option, Typer

from plvm.cli import options as o
from plvm.cli.console import out, out_json
from plvm.cli.context import load_model, names_in, open_store, pick, require_known, sampling
from plvm.cli.verbs import add_verb
from plvm.errors import RequestError


def register(app: Typer) -> None:
    add_verb(app, "ask", ask, "Pictures", "[IMAGE] QUESTION")


def ask(
    words: Annotated[
        list[str], Argument(metavar="IMAGE QUESTION", help="A picture, and a question in which people stand as <name>.")
    ],
    no_image: Annotated[bool, Option("--no-image", help="Ask without a picture: give the question alone.")] = False,
    with_: o.With = None,
    temperature: o.Temperature = 0.0,
    top_p: o.TopP = 1.0,
    top_k: o.TopK = 0,
    max_tokens: o.MaxTokens = 64,
    stop: o.Stop = None,
    seed: o.Seed = None,
    store: o.Store = None,
    namespace: o.Namespace = "default",
    model: o.Model = "mini",
    device: o.Device = None,
    dtype: o.Dtype = None,
    bits: o.Bits = None,
    json: o.Json = False,
) -> None:
    """Ask one question about a picture.

    The model is told about everyone whom the question or --with names; if nobody is named, about all who are enrolled
    (of more than four, the likeliest in the picture).

    \b
    Examples:
      plvm ask party.jpg "Where is <billie>?"
      plvm ask --no-image "What is the hair color of <billie>?"
    """
    from plvm.images import open_image

    file, question = _sort_out(words, no_image)
    params = sampling(temperature, top_p, top_k, max_tokens, stop, seed)
    image = None if file is None else open_image(file)
    names = [*(with_ or ()), *names_in(question)]
    with open_store(store, namespace) as opened:
        require_known(opened, names)
        vlm = load_model(model, device, dtype, bits)
        concepts = pick(vlm, opened, names, image)
    if json:
        answer = vlm.ask(image, question, concepts, params, namespace=namespace)
        facts = {
            "image": file,
            "question": question,
            "answer": answer.text,
            "names": list(answer.names),
            "concepts": [concept.name for concept in concepts],
            "finish": answer.finish,
            "prompt_tokens": answer.prompt_tokens,
            "computed_tokens": answer.computed_tokens,
            "new_tokens": answer.new_tokens,
            "seconds": round(answer.seconds, 4),
        }
        out_json(facts)
        return
    for chunk in vlm.stream(image, question, concepts, params, namespace=namespace):
        out(chunk, end="")
    out()


def _sort_out(words: list[str], no_image: bool) -> tuple[str | None, str]:
    """(picture or None, question) of what was typed."""
    if len(words) > (1 if no_image else 2):
        raise RequestError(
            f"{len(words)} arguments are too many.", "Put the question between quotation marks, as one argument."
        )
    if no_image:
        return None, words[0]
    if len(words) == 1:
        raise RequestError(
            "A picture and a question are needed.", 'Say `plvm ask IMAGE "QUESTION"`, or add --no-image.'
        )
    return words[0], words[1]
