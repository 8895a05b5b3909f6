"""`plvm ask`: one question, one answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option, Typer

from plvm.cli import options as o
from plvm.cli import remote
from plvm.cli.console import out, out_json, say
from plvm.cli.unlike import rounded, warn
from plvm.cli.verbs import add_verb
from plvm.errors import RequestError
from plvm.naming.display import label

if TYPE_CHECKING:
    from plvm.choosing import Choice
    from plvm.types import Answer


def register(app: Typer) -> None:
    add_verb(app, "ask", ask, "Pictures", "[IMAGE] QUESTION")


def ask(
    words: Annotated[
        list[str], Argument(metavar="IMAGE QUESTION", help="A picture, and a question that names people: <billie> or Billie.")
    ],
    no_image: Annotated[bool, Option("--no-image", help="Ask without a picture: give the question alone.")] = False,
    with_: o.With = None,
    *,
    naming: o.NameOptions,
    sampling: o.SamplingOptions,
    store: o.StoreOptions,
    model: o.ModelOptions,
    server: remote.ServerOptions,
    json: o.Json = False,
) -> None:
    """Ask one question about a picture.

    The model is told about everyone whom the question or --with names; if nobody is named, about all who are enrolled
    (of more than four, the likeliest in the picture). A name needs no < >; one that is an ordinary word too, like Will, counts
    without them only where it is capitalised and begins no sentence.

    \b
    Examples:
      plvm ask party.jpg "Where is <billie>?"
      plvm ask --no-image "What is the hair color of <billie>?"
    """
    file, question = _sort_out(words, no_image)
    params = sampling.params()
    if (client := server.client(store, model)) is not None:
        with client:
            remote.ask(client, file, question, remote.fields_of(sampling, naming) | {"concepts": with_ or []}, json=json)
        return
    from plvm.choosing import choose
    from plvm.images import open_image

    image = None if file is None else open_image(file)
    with store.open() as opened:
        names = [*opened.check_known(*(with_ or ())), *naming.names_in(question, opened)]
        vlm = model.load()
        choice = choose(vlm, opened, names, image)
    tell(choice)
    asked = choice.concepts
    if json:
        answer = vlm.ask(image, question, asked, params, exact_names=naming.exact_names, namespace=store.namespace)
        out_json(_facts(file, question, answer, naming.shown(answer.text, asked), [concept.name for concept in asked]))
        warn(vlm, {file or "": answer.unlike})
        return
    seen = vlm.look(image, namespace=store.namespace)
    warn(vlm, {file or "": seen.unlike})
    for chunk in vlm.stream(seen, question, asked, params, exact_names=naming.exact_names, namespace=store.namespace):
        out(naming.shown(chunk, asked), end="")
    out()


def _facts(file: str | None, question: str, answer: Answer, shown: str, concepts: list[str]) -> dict[str, Any]:
    """An answer for machines."""
    return {
        "image": file,
        "question": question,
        "answer": answer.text,
        "shown": shown,
        "names": list(answer.names),
        "concepts": concepts,
        "finish": answer.finish,
        "prompt_tokens": answer.prompt_tokens,
        "computed_tokens": answer.computed_tokens,
        "new_tokens": answer.new_tokens,
        "seconds": round(answer.seconds, 4),
        "unlike": rounded(answer.unlike),
    }


def tell(choice: Choice) -> None:
    """Say who was chosen where somebody had to be left out."""
    if choice.left_out:
        who, stored = choice.concepts, len(choice.concepts) + choice.left_out
        say(f"With the {len(who)} of {stored} that are likeliest here: {', '.join(label(c.name, c.display) for c in who)}.")


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
