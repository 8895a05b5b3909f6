"""What lies outside the portraits world: sums, the world's knowledge, deeds, private matters, nonsense, other languages, and
people whom nobody introduced. `draw_outside` gives one such text; the one right answer to all is `everyday.LIMITS`."""

from __future__ import annotations

import random
import string
from importlib import resources

from plvm_lab.portraits.everyday import read_wordings, sentence

_THINGS = (
    "bread", "soup", "pizza", "a cake", "pancakes", "tea", "a bicycle", "a car", "a house", "a boat", "a computer",
    "a phone", "a radio", "a clock", "a kite", "a garden", "roses", "tomatoes", "a dog", "a cat", "a horse", "a whale",
    "an elephant", "bees", "ants", "gold", "iron", "water", "salt", "sugar", "rain", "thunder", "lightning", "the moon",
    "the sun", "the sea", "a volcano", "an earthquake", "gravity", "light", "electricity", "democracy", "money", "taxes",
    "a loan", "music", "jazz", "an opera", "a novel", "a poem", "football", "chess", "tennis", "yoga", "a marathon",
    "sleep", "a headache", "a cold", "vitamins", "a virus", "a vaccine", "DNA", "an atom", "a black hole", "a rocket",
    "a bridge", "a castle", "a pyramid", "the internet", "an algorithm", "a database", "a website", "Python",
    "a spreadsheet", "an email", "a passport", "a visa", "a wedding", "a birthday", "Christmas", "a war", "a king",
    "a president",
)  # fmt: skip
_PLACES = (
    "France", "Germany", "Italy", "Spain", "Portugal", "Poland", "Norway", "Sweden", "Finland", "Greece", "Turkey",
    "Egypt", "Kenya", "Ghana", "Brazil", "Peru", "Chile", "Mexico", "Canada", "Japan", "China", "India", "Korea",
    "Australia", "Paris", "London", "Rome", "Berlin", "Vienna", "Tokyo", "New York", "Moscow", "Africa", "Europe", "Asia",
    "the world", "the universe", "Mars", "the Alps", "the Nile", "the Pacific",
)  # fmt: skip
_PEOPLE = (
    "Einstein", "Newton", "Mozart", "Beethoven", "Shakespeare", "Goethe", "Picasso", "Van Gogh", "Cleopatra", "Caesar",
    "Napoleon", "Gandhi", "Marie Curie", "Darwin", "Galileo", "Columbus", "the president", "the king", "the pope",
    "your boss", "my mother", "my boss", "the neighbour",
)  # fmt: skip
_WORKS = (
    "Hamlet", "Faust", "the Bible", "Don Quixote", "the Odyssey", "Guernica", "the Magic Flute", "the telephone",
    "penicillin", "the radio", "the wheel", "the Starry Night",
)  # fmt: skip
_LANGUAGES = (
    "French", "German", "Spanish", "Italian", "Chinese", "Japanese", "Latin", "Russian", "Arabic", "Greek", "Polish",
    "Dutch",
)  # fmt: skip
_SAYINGS = (
    "good morning", "I love you", "where is the station", "thank you", "the cat sleeps", "see you tomorrow",
    "how much is it", "cheese", "water", "my name is",
)  # fmt: skip

_OBJECTS = (
    "dog", "cat", "car", "bus", "train", "horse", "bird", "table", "chair", "lamp", "house", "tree", "river", "bridge",
    "boat", "sign", "poster", "shop", "clock", "plane", "fridge", "robot", "flag",
)  # fmt: skip
_NAMES = (
    "Anton", "Berta", "Carlos", "Doris", "Emil", "Frieda", "Gustav", "Hanna", "Igor", "Jana", "Karim", "Lena", "Marco",
    "Nadia", "Oskar", "Petra", "Quentin", "Rosa", "Stefan", "Tanja", "Ulrich", "Vera", "Walter", "Xenia", "Yusuf", "Zoe",
    "Alice", "Bruno", "Clara", "David", "Elena", "Felix", "Greta", "Hugo", "Ida", "Jonas", "Katja", "Leo", "Mona", "Nils",
    "Olga", "Paul", "Rita", "Samuel", "Tina", "Viktor", "Wanda", "Yara", "Ahmed", "Bella", "Chen", "Dmitri", "Esra",
    "Fatima", "Ming", "my sister", "my brother", "my dad", "my dog", "my teacher", "Uncle Otto", "Aunt Emma", "Mr Brown",
    "Mrs Green", "Anna Lena", "Max",
)  # fmt: skip

_OUTSIDE = read_wordings(resources.files("plvm_lab.portraits").joinpath("outside.txt").read_text(encoding="utf-8"))
_OTHER_LANGUAGES = tuple(
    line
    for line in resources.files("plvm_lab.portraits").joinpath("languages.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
)
_SYLLABLES = (
    "ba", "lo", "kri", "sna", "tu", "vex", "mip", "or", "qua", "zel", "ni", "dro", "fi", "hu", "pla", "ge", "wom", "ti",
    "ra", "sko",
)  # fmt: skip
_LOOSE = (
    "blue", "idea", "runs", "seven", "quickly", "under", "table", "green", "sleep", "the", "of", "cloud", "banana", "loud",
    "why", "spoon", "dreams", "square", "yellow", "time", "jump", "between", "left", "is", "person", "wearing", "soft",
    "triangle", "music", "and", "photo", "sings", "cold", "hat", "never", "fast", "who", "red",
)  # fmt: skip


def _number(rng: random.Random) -> int:
    return rng.choice((rng.randint(2, 12), rng.randint(10, 99), rng.randint(100, 9999)))


def _filled(text: str, rng: random.Random) -> str:
    parts = {
        "t": rng.choice(_THINGS), "u": rng.choice(_THINGS), "l": rng.choice(_PLACES), "m": rng.choice(_PEOPLE),
        "w": rng.choice(_WORKS), "g": rng.choice(_LANGUAGES), "s": rng.choice(_SAYINGS), "n": str(_number(rng)),
        "k": str(_number(rng)), "o": rng.choice(_OBJECTS),
    }  # fmt: skip
    for key, value in parts.items():
        text = text.replace("{" + key + "}", value)
    return text


_OPENINGS = ("", "", "", "", "", "", "please ", "can you ", "could you ", "hey, ", "so, ", "ok, ", "I want you to ", "now ")


def _sum(rng: random.Random) -> str:
    a, b = _number(rng), _number(rng)
    sign = rng.choice((" + ", " - ", " * ", "+", "-", "*", "/", " plus ", " minus ", " times ", " divided by ", " x "))
    opening = rng.choice(("what is ", "what's ", "how much is ", "calculate ", "", "", "solve "))
    return sentence(f"{opening}{a}{sign}{b}", rng.choice(("?", "", " =", " = ?")))


def _deed(rng: random.Random) -> str:
    opening = rng.choice(_OPENINGS)
    deed = opening + _filled(rng.choice(_OUTSIDE["deeds"]), rng)
    return sentence(deed, "?" if opening.startswith(("can", "could")) else rng.choice((".", "", "!")))


def _nonsense(rng: random.Random) -> str:
    draw = rng.random()
    if draw < 0.3:
        words = ["".join(rng.choice(_SYLLABLES) for _ in range(rng.randint(1, 3))) for _ in range(rng.randint(1, 5))]
    elif draw < 0.5:
        words = ["".join(rng.choice(string.ascii_lowercase) for _ in range(rng.randint(2, 9))) for _ in range(rng.randint(1, 4))]
    elif draw < 0.75:
        words = rng.sample(_LOOSE, rng.randint(3, 7))
    elif draw < 0.87:
        words = ["".join(rng.choice("?!.,;:-+*/#@%&()=_ 0123456789") for _ in range(rng.randint(1, 9)))]
    else:
        words = [rng.choice(_OUTSIDE["single"])]
    return " ".join(words).strip() + rng.choice(("", "", "?", ".", "!")) or "?"


def _question(texts: tuple[str, ...], rng: random.Random) -> str:
    opening = rng.choice(("", "", "", "", "", "hey, ", "so, ", "ok, ", "and ", "tell me, ", "do you know: "))
    return sentence(opening + _filled(rng.choice(texts), rng), rng.choice(("?", "?", "?", "", ".")))


def _stranger(rng: random.Random) -> str:
    return sentence(rng.choice(_OUTSIDE["about_name"]).replace("{n}", rng.choice(_NAMES)), rng.choice(("?", "?", "?", "")))


def draw_outside(rng: random.Random, x: str | None) -> str:
    """A text that the portraits world has no answer to; `x` is how somebody known is written, None where nobody is."""
    draw = rng.random()
    if draw < 0.09:
        return _sum(rng)
    if draw < 0.31:
        return _question(_OUTSIDE["knowledge"], rng)
    if draw < 0.43:
        return _deed(rng)
    if draw < 0.51:
        return _question(_OUTSIDE["unseen"], rng)
    if draw < 0.58:
        return _stranger(rng)
    if draw < 0.65:
        return _nonsense(rng)
    if x is not None and draw < 0.73:
        return _question(_OUTSIDE["private"], rng).replace("{x}", x).replace("{X}", x)
    return rng.choice(_OTHER_LANGUAGES).replace("{x}", x if x is not None and rng.random() < 0.8 else rng.choice(_NAMES))
