"""Scene descriptions on the template "A person (wearing something) is (doing something) at (some place)."

Two hundred of them are shipped in `prompts.txt`, made by `compose` from the settings below; `ask_for_prompts` has any
OpenAI-compatible model write more.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from pathlib import Path

from plvm.errors import RequestError
from plvm_lab.endpoint import Endpoint, Patience

SHIPPED = Path(__file__).parent / "prompts.txt"
TEMPLATE = re.compile(r"A person wearing (.+) is (\w+ing)\b(.*)\.")
LONGEST = 160

# A setting holds what fits together: places, what people do there, what they wear for it.
SETTINGS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "seaside": (
        ("on a sandy beach", "on a wooden pier", "beside a small harbour", "at a lighthouse by the sea"),
        ("walking barefoot", "eating ice cream", "watching the waves", "flying a kite", "collecting shells"),
        ("a striped shirt", "a linen shirt", "a straw hat", "a light summer jacket", "shorts and a t-shirt"),
    ),
    "town": (
        ("on a busy crosswalk", "in front of a bookshop", "at a tram stop", "in a narrow old street", "on a town square"),
        ("waiting", "talking on the phone", "carrying groceries", "riding a bicycle", "taking photos"),
        ("a grey coat", "a denim jacket", "a red scarf", "a backpack and a cap", "a long black coat"),
    ),
    "cafe": (
        ("at a corner table in a cafe", "on the terrace of a bistro", "at the counter of a bakery", "in a tea house"),
        ("drinking coffee", "reading a newspaper", "eating cake", "writing in a notebook", "laughing"),
        ("a knitted sweater", "a white blouse", "a corduroy jacket", "a green cardigan", "a denim shirt"),
    ),
    "kitchen": (
        ("in a bright kitchen", "at a barbecue in the garden", "in a restaurant kitchen", "at a long wooden table"),
        ("cooking soup", "slicing vegetables", "baking bread", "washing dishes", "tasting a sauce"),
        ("an apron", "a checked shirt", "a chef's jacket", "a plain t-shirt", "rolled-up sleeves"),
    ),
    "mountains": (
        ("on a rocky summit", "beside a mountain lake", "on a trail above the clouds", "in front of an alpine hut"),
        ("hiking", "resting on a stone", "looking at a map", "drinking from a bottle", "pointing at the view"),
        ("a windbreaker", "a fleece jacket", "hiking boots and a cap", "an orange raincoat", "a woollen hat"),
    ),
    "snow": (
        ("on a ski slope", "in a snowy forest", "on a frozen pond", "beside a snowman in a yard"),
        ("skiing", "throwing a snowball", "skating", "pulling a sled", "warming both hands"),
        ("a thick parka", "a bobble hat", "a ski suit", "a long scarf and mittens", "a quilted jacket"),
    ),
    "park": (
        ("in a city park", "under an old oak tree", "on a bench by a fountain", "on a lawn full of daisies"),
        ("jogging", "feeding ducks", "walking a dog", "playing the guitar", "having a picnic"),
        ("a tracksuit", "a floral dress", "a hoodie", "a yellow t-shirt", "sunglasses"),
    ),
    "work": (
        ("in an open office", "in a meeting room", "at a drawing board in a studio", "in a laboratory"),
        ("typing on a laptop", "giving a talk", "drawing a plan", "looking through a microscope", "shaking hands"),
        ("a dark suit", "a white lab coat", "a shirt and tie", "a blazer", "a turtleneck"),
    ),
    "learning": (
        ("in a quiet library", "in a lecture hall", "in a classroom", "between tall bookshelves"),
        ("reading a thick book", "writing on a blackboard", "listening to a lesson", "raising a hand", "studying"),
        ("a college sweater", "round glasses", "a checked blazer", "a plain grey sweater", "a polo shirt"),
    ),
    "stage": (
        ("on a concert stage", "in a small jazz club", "in a rehearsal room", "at a street festival"),
        ("singing into a microphone", "playing the violin", "playing the drums", "dancing", "bowing to the audience"),
        ("a leather jacket", "a glittering dress", "a black waistcoat", "a band t-shirt", "a velvet suit"),
    ),
    "sport": (
        ("on a tennis court", "in a gym", "on a running track", "at a climbing wall", "beside a swimming pool"),
        ("stretching", "lifting weights", "tying both shoes", "catching a ball", "celebrating"),
        ("a sports jersey", "a headband", "a sleeveless top", "a training jacket", "white sportswear"),
    ),
    "journey": (
        ("in a train compartment", "at an airport gate", "on the deck of a ferry", "beside a camper van"),
        ("sleeping", "looking out of the window", "pulling a suitcase", "reading a travel guide", "waving goodbye"),
        ("a travel vest", "headphones", "a beige trench coat", "a comfortable sweater", "a sun hat"),
    ),
    "workshop": (
        ("in a carpenter's workshop", "in a pottery studio", "in a bicycle repair shop", "in a greenhouse"),
        ("sanding a chair", "shaping clay", "repairing a wheel", "watering plants", "measuring a board"),
        ("blue overalls", "a leather apron", "work gloves", "a faded shirt", "safety glasses"),
    ),
    "home": (
        ("on a sofa in a living room", "by a fireplace", "on a balcony full of flowers", "in an armchair by the window"),
        ("playing a video game", "knitting", "stroking a cat", "opening a present", "watching a film"),
        ("pyjamas", "a warm blanket and socks", "a bathrobe", "a loose shirt", "a soft hoodie"),
    ),
    "market": (
        ("at a farmers' market", "at a flower stall", "in a spice bazaar", "at a flea market"),
        ("choosing apples", "smelling flowers", "bargaining with a smile", "holding a basket", "counting coins"),
        ("a colourful scarf", "a summer dress", "a waxed jacket", "a printed shirt", "a wide-brimmed hat"),
    ),
    "culture": (
        ("in an art museum", "in front of an old cathedral", "in a theatre foyer", "at a photo exhibition"),
        ("looking at a painting", "sketching", "listening to an audio guide", "reading a programme", "standing still"),
        ("an elegant dress", "a tweed jacket", "a silk scarf", "a dark coat", "a bow tie"),
    ),
}  # fmt: skip


def compose(count: int, seed: int = 0) -> list[str]:
    """`count` different descriptions, settings in turn. Raises RequestError where there are not so many."""
    rng = random.Random(f"plvm-prompts/{seed}")
    decks = []
    for places, doings, clothes in SETTINGS.values():
        deck = [f"A person wearing {c} is {d} {p}." for p in places for d in doings for c in clothes]
        rng.shuffle(deck)
        decks.append(deck)
    if count > sum(map(len, decks)):
        raise RequestError(
            f"{sum(map(len, decks)):,} prompts can be composed, not {count:,}.", "Ask for fewer, or let a model write."
        )
    deep = max(map(len, decks))
    return [deck[i] for i in range(deep) for deck in decks if i < len(deck)][:count]


def read_prompts(path: Path = SHIPPED) -> list[str]:
    """The prompts of a text file, one a line; empty lines and lines that begin with # are skipped. Raises RequestError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path} cannot be read ({type(error).__name__}).", "Name a text file of prompts.") from None
    prompts = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not prompts:
        raise RequestError(f"{path} holds no prompt.", "Write one on each line.")
    return list(dict.fromkeys(prompts))


def ask_for_prompts(
    count: int,
    url: str,
    model: str,
    *,
    key: str = "",
    known: Sequence[str] = (),
    timeout: float = 120.0,
    rounds: int = 10,
) -> list[str]:
    """`count` new descriptions written by the model behind an OpenAI-compatible API at `url` (".../v1").

    Lines that do not fit the template, are too long or known are dropped. Raises RequestError where the API refuses or
    is not reached or, after `rounds` questions, has not written enough.
    """
    endpoint, found = Endpoint(url, key, Patience(timeout)), dict[str, None]()
    for _ in range(rounds):
        wanted = count - len(found)
        if wanted <= 0:
            break
        question = {"role": "user", "content": _instruction(wanted, [*known, *found][-20:])}
        reply = endpoint.ask({"model": model, "messages": [question], "temperature": 1.0})
        for line in reply.text.splitlines():
            prompt = re.sub(r"^[\s\d.)*-]+", "", line).strip()
            if TEMPLATE.fullmatch(prompt) and len(prompt) <= LONGEST and prompt not in known:
                found[prompt] = None
    if len(found) < count:
        raise RequestError(
            f"{model} wrote {len(found):,} of {count:,} prompts that fit the template.", "Try another model, or fewer."
        )
    return list(found)[:count]


def _instruction(count: int, known: Sequence[str]) -> str:
    shown = "\n".join(known) or "A person wearing a red scarf is feeding pigeons on a town square."
    return (
        f"Write {min(count, 50)} varied descriptions of photos, one per line, without numbers. Each has this form: "
        '"A person wearing (something) is (doing something) at (some place)." Say nothing about age, sex, hair, skin '
        f"or face, and name nobody. Do not repeat these:\n{shown}"
    )
