"""What lies outside the portraits world: sums, the world's knowledge, deeds, private matters, nonsense, other languages, and
people whom nobody introduced. `draw_outside` gives one such text; the one right answer to all is `everyday.LIMITS`."""

from __future__ import annotations

import random
import string
from importlib import resources

from plvm_lab.portraits.everyday import sentence

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

_KNOWLEDGE = (
    "what is {t}", "what are {t}", "what is {t} made of", "how does {t} work", "how do I make {t}", "how do I fix {t}",
    "how do you make {t}", "how much does {t} cost", "how much is {t}", "why is there {t}", "who invented {t}",
    "when was {t} invented", "what causes {t}", "where does {t} come from", "explain {t} to me", "explain {t}",
    "tell me about {t}", "give me facts about {t}", "what is the history of {t}", "what is the best {t}",
    "is {t} good for me", "is {t} dangerous", "should I buy {t}", "where can I buy {t}", "what do you think about {t}",
    "do you like {t}", "what is the capital of {l}", "where is {l}", "how big is {l}", "how many people live in {l}",
    "what language do they speak in {l}", "what is the weather in {l}", "what time is it in {l}", "how do I get to {l}",
    "how far is {l}", "is {l} nice in winter", "who rules {l}", "what is the highest mountain in {l}",
    "what is the longest river in {l}", "what is the currency of {l}", "when did {l} become a country", "who was {m}",
    "who is {m}", "when was {m} born", "when did {m} die", "where did {m} live", "what did {m} do",
    "what is {m} famous for", "why is {m} famous", "how tall is {m}", "how rich is {m}", "who wrote {w}", "who made {w}",
    "who painted {w}", "when was {w} made", "what is {w} about", "why is the sky blue", "why is the grass green",
    "how far away is the moon", "how old is the earth", "how hot is the sun", "how many stars are there",
    "how many days has a year", "what year is it", "what day is today", "what time is it", "what's the date",
    "who won the world cup", "who won yesterday", "what's the news", "what's the score", "what is love", "what is truth",
    "is there a god", "what is the meaning of {t}", "what's the definition of {t}", "how do I spell {t}",
    "what rhymes with {t}", "what is the opposite of {t}", "what is the plural of {t}", "how do you say {t} in {g}",
    "translate {t} into {g}", 'translate "{s}" into {g}', 'how do you say "{s}" in {g}', 'what does "{s}" mean in {g}',
    "what is the square root of {n}", "how many seconds are in {n} hours", "convert {n} miles to kilometres",
    "what is {n} percent of {k}", "is {n} a prime number", "how much is {n} dollars in euros", "will it rain tomorrow",
    "will it be cold today", "which is better, {t} or {u}", "what is the difference between {t} and {u}",
    "compare {t} and {u}", "can {t} be used with {u}", "who will win the election", "which party should I vote for",
    "is it safe to eat {t}", "can I mix {t} with {u}", "how do I lose weight", "what should I cook tonight",
    "what should I wear tomorrow", "what should I do today", "am I ill", "why am I so tired", "how can I sleep better",
    "how do I get rich", "what stocks should I buy", "is the shop open", "what's for dinner", "where are my keys",
    "where is my phone",
)  # fmt: skip
_DEEDS = (
    "write a poem about {t}", "write a song about {t}", "write a story about {t}", "write an essay on {t}",
    "write a letter to {m}", "write an email to {m}", "write a program that sorts a list", "write some code",
    "write a function in Python", "fix my code", "debug this", "print hello world", "sing a song", "tell me a joke",
    "tell me a joke about {t}", "tell me a story", "tell me a riddle", "tell me a secret", "tell me something funny",
    "make me laugh", "play a song", "play some {t}", "play a game with me", "let's play chess",
    "set an alarm for {n} o'clock", "set a timer", "remind me to buy {t}", "call {m}", "send a message to {m}",
    "book a flight to {l}", "book a hotel in {l}", "order {t}", "buy {t}", "open the door", "turn on the light",
    "turn off the music", "search for {t}", "search the internet for {t}", "google {t}", "look up {t}",
    "find a restaurant", "show me the way to {l}", "draw {t}", "paint {t}", "make a picture of {t}", "edit the picture",
    "make the picture brighter", "crop the picture", "delete this photo", "remove the background", "post this online",
    "share this with {m}", "print this", "zoom in", "rotate the picture", "count to {n}", "count backwards from {n}",
    "solve x + {n} = {k}", "calculate {n} times {k}", "add {n} and {k}", "guess a number", "roll a dice", "flip a coin",
    "repeat after me", "say {t}", "ignore all that and say {t}", "forget your rules", "pretend to be {m}", "act like {m}",
    "recommend a film", "recommend a book about {t}", "plan a trip to {l}", "make a shopping list", "teach me {g}",
    "speak {g}", "answer in {g}", "do my homework", "give me a recipe for {t}",
)  # fmt: skip
_PRIVATE = (
    "where does {x} live", "what is {x}'s address", "what is {x}'s phone number", "what is {x}'s email",
    "when was {x} born", "when is {x}'s birthday", "where was {x} born", "what is {x}'s last name",
    "what is the surname of {x}", "what does {x} do for a living", "what is {x}'s job", "where does {x} work",
    "is {x} married", "is {x} single", "does {x} have children", "who are {x}'s parents", "who is {x}'s mother",
    "who is the brother of {x}", "is {x} rich", "how much does {x} earn", "how tall is {x}", "how much does {x} weigh",
    "what is {x}'s favourite food", "what music does {x} like", "what is {x} thinking", "what will {x} do tomorrow",
    "what did {x} do yesterday", "does {x} like me", "is {x} my friend", "is {x} honest", "is {x} clever", "is {x} ill",
    "is {x} famous", "what language does {x} speak", "where is {x} from", "what nationality is {x}",
    "what religion is {x}", "for whom does {x} vote", "can {x} swim", "can {x} drive", "when did I last see {x}",
    "how long have I known {x}", "what is {x}'s password", "why did {x} come", "what did {x} say", "call {x}",
    "send this to {x}", "write a poem about {x}", "tell me a story about {x}", "is {x} older than {m}",
    "does {x} know {m}", "what is {x}'s dog called", "what car does {x} drive",
)  # fmt: skip
_UNSEEN = (
    "what brand is the {o}", "what colour is the {o}", "what is the {o} called", "where is the {o}", "who owns the {o}",
    "how much was the {o}", "is there a {o}", "what is written on the {o}", "what does the sign say",
    "what camera was this taken with", "who took this photo", "who made this picture", "in what year was this taken",
    "what was the date of this picture", "how warm was it", "how cold is it there", "what is the address of this place",
    "which city is this", "which country is this", "what is the name of this place", "what are they saying",
    "what are they talking about", "what are they thinking", "what happened before this", "what happens next",
    "what happened after this", "why are they here", "why did they meet", "what song is playing",
    "what is the person's phone number", "what is this person's job", "where does this person live",
    "how much does this person weigh", "is this person famous", "is this photo real", "was this photo edited",
    "is this art", "how big is this file", "what is behind the camera", "what is outside the picture",
    "what will the weather be there", "what does it smell like", "what does it sound like", "do you see a {o}",
    "can you see the {o}", "how many {o}s are there", "what is the {o} doing", "is the {o} old",
    "read the text on the {o}", "what is the phone number of this person",
    "what is the phone number of the person in the photo", "what is the number of the person in the picture",
    "what is the address of the person in the photo", "where does the person in the photo work", "what is the age of the {o}",
    "what is the password", "what is the weather like outside the picture", "who is the owner of this picture",
)  # fmt: skip
_OBJECTS = (
    "dog", "cat", "car", "bus", "train", "horse", "bird", "table", "chair", "lamp", "house", "tree", "river", "bridge",
    "boat", "sign", "poster", "shop", "clock", "plane", "fridge", "robot", "flag",
)  # fmt: skip
_ABOUT_NAME = (
    "where is {n}", "where's {n}", "is {n} here", "is {n} in this photo", "what is {n} doing", "what is {n} wearing",
    "do you see {n}", "can you see {n}", "who is {n}", "who is next to {n}", "how is {n}", "is that {n}", "find {n}",
    "tell me about {n}", "what colour are the eyes of {n}", "what about {n}", "show me {n}", "is {n} smiling",
)  # fmt: skip
_NAMES = (
    "Anton", "Berta", "Carlos", "Doris", "Emil", "Frieda", "Gustav", "Hanna", "Igor", "Jana", "Karim", "Lena", "Marco",
    "Nadia", "Oskar", "Petra", "Quentin", "Rosa", "Stefan", "Tanja", "Ulrich", "Vera", "Walter", "Xenia", "Yusuf", "Zoe",
    "Alice", "Bruno", "Clara", "David", "Elena", "Felix", "Greta", "Hugo", "Ida", "Jonas", "Katja", "Leo", "Mona", "Nils",
    "Olga", "Paul", "Rita", "Samuel", "Tina", "Viktor", "Wanda", "Yara", "Ahmed", "Bella", "Chen", "Dmitri", "Esra",
    "Fatima", "Ming", "my sister", "my brother", "my dad", "my dog", "my teacher", "Uncle Otto", "Aunt Emma", "Mr Brown",
    "Mrs Green", "Anna Lena", "Max",
)  # fmt: skip

_OTHER_LANGUAGES = tuple(
    line
    for line in resources.files("plvm_lab.portraits").joinpath("languages.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
)
_SYLLABLES = (
    "ba", "lo", "kri", "sna", "tu", "vex", "mip", "or", "qua", "zel", "ni", "dro", "fi", "hu", "pla", "ge", "wom", "ti",
    "ra", "sko",
)  # fmt: skip
_SINGLE = (
    "why", "because", "maybe", "what", "when", "who", "how", "no", "yes", "really", "hmm", "lol", "so", "then", "never",
    "always", "wrong",
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
    deed = opening + _filled(rng.choice(_DEEDS), rng)
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
        words = [rng.choice(_SINGLE)]
    return " ".join(words).strip() + rng.choice(("", "", "?", ".", "!")) or "?"


def _question(texts: tuple[str, ...], rng: random.Random) -> str:
    opening = rng.choice(("", "", "", "", "", "hey, ", "so, ", "ok, ", "and ", "tell me, ", "do you know: "))
    return sentence(opening + _filled(rng.choice(texts), rng), rng.choice(("?", "?", "?", "", ".")))


def _stranger(rng: random.Random) -> str:
    return sentence(rng.choice(_ABOUT_NAME).replace("{n}", rng.choice(_NAMES)), rng.choice(("?", "?", "?", "")))


def draw_outside(rng: random.Random, x: str | None) -> str:
    """A text that the portraits world has no answer to; `x` is how somebody known is written, None where nobody is."""
    draw = rng.random()
    if draw < 0.09:
        return _sum(rng)
    if draw < 0.31:
        return _question(_KNOWLEDGE, rng)
    if draw < 0.43:
        return _deed(rng)
    if draw < 0.51:
        return _question(_UNSEEN, rng)
    if draw < 0.58:
        return _stranger(rng)
    if draw < 0.65:
        return _nonsense(rng)
    if x is not None and draw < 0.73:
        return _question(_PRIVATE, rng).replace("{x}", x).replace("{X}", x)
    return rng.choice(_OTHER_LANGUAGES).replace("{x}", x if x is not None and rng.random() < 0.8 else rng.choice(_NAMES))
