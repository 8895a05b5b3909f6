"""Everyday English: the many ways in which people ask for what the portraits world can answer, and how they type it.

`EVERYDAY[kind]` are wordings beside those of `sentences.py` (with the same places to fill: `{x}`, `{p}`, ...); `described`,
`greeting` and `about_itself` draw a request for a caption, a greeting with its answer, and a question about the model. None of
them is a wording that `sentences.HELD_OUT` keeps for the evaluation.
"""

from __future__ import annotations

import random

from plvm_lab.portraits.sentences import HELD_OUT, PRACTICE

LIMITS = "I can only talk about what is in the picture and the people I know."
ABILITIES = "I can tell you who is in a picture, where they are, what they wear and what they do."

_PICTURES = ("picture", "photo", "image", "photograph", "pic", "scene", "snapshot", "shot")
_THIS = ("the", "this", "this", "that", "my")
_SEEN = (
    "describe {it}", "describe {it} to me", "describe {it} in a sentence", "describe {it} in detail", "describe {it} briefly",
    "give me a description of {it}", "give a description of {it}", "write a description of {it}",
    "I need a description of {it}", "caption {it}", "write a caption for {it}", "give {it} a caption",
    "give me a caption for {it}", "make a caption for {it}", "suggest a caption for {it}",
    "what would be a good caption for {it}", "add a caption to {it}", "caption, please", "tell me about {it}",
    "tell me something about {it}", "tell me what {it} shows", "tell me what you see in {it}", "tell me what is in {it}",
    "tell me what's in {it}", "tell me what is going on in {it}", "tell me what happens in {it}", "what is in {it}",
    "what's in {it}", "what's on {it}", "what is on {it}", "what is shown in {it}", "what does {it} show",
    "what is {it} about", "what is {it} of", "what's {it} of", "what do you see", "what do you see in {it}",
    "what can you see", "what can you see in {it}", "what do you notice", "what do you notice in {it}", "what is going on",
    "what's going on in {it}", "what is going on in {it}", "what's happening", "what is happening in {it}",
    "what happens in {it}", "what is to be seen in {it}", "what is there to see", "what can be seen in {it}",
    "what have we got here", "what do we have here", "what's this", "what is this", "what is all this",
    "what did I take a picture of", "what did I photograph", "what did the camera see", "show me what is in {it}",
    "say what you see", "say what is in {it}", "say what {it} shows", "say a few words about {it}", "explain {it}",
    "explain {it} to me", "explain what {it} shows", "explain what is going on", "sum up {it}", "summarize {it}",
    "summary of {it}", "give me a summary of {it}", "an overview of {it}", "give me an overview", "walk me through {it}",
    "talk me through {it}", "talk about {it}", "look at {it}", "look at {it} and describe it", "have a look at {it}",
    "take a look at {it} and tell me what is there", "read {it} out to me", "I cannot see {it}, what is in it",
    "I am blind, what is in {it}", "I can't see {it}, tell me about it", "narrate {it}", "alt text for {it}",
    "write alt text for {it}", "give me alt text", "a title for {it}", "list what you see", "list what is in {it}",
    "list everything in {it}", "list everybody and what they do", "who and what do you see",
    "who is in {it} and what are they doing", "who is there and what do they do",
    "tell me who is in {it} and what they do", "tell me who does what", "who is doing what here",
    "tell me everything about {it}", "tell me everything you see", "everything you see, please", "tell me all you can see",
    "describe what you see", "describe what is in {it}", "describe what is happening", "describe what's going on in {it}",
    "describe this", "describe it", "describe everything", "describe everyone", "describe everybody in {it}",
    "describe the people in {it}", "describe the people", "please describe", "caption this", "caption it",
    "what about {it}", "and {it}", "your thoughts on {it}", "what do you make of {it}", "what do you think {it} shows",
    "what would you say is in {it}", "how would you describe {it}", "how would you caption {it}",
    "help me understand {it}", "help me see {it}", "put {it} in words", "report what you see",
    "make a sentence about {it}", "write a sentence about {it}", "write down what you see", "note down what is in {it}",
    "label {it}", "describe {it} with names", "caption {it} with the names of everybody", "use names and describe {it}",
    "name everybody and what they do", "tell the story of {it}", "tell me the story behind {it}", "fill me in on {it}",
    "break {it} down for me", "brief me on {it}",
)  # fmt: skip
_OPENINGS = (
    "", "", "", "", "", "", "please ", "can you ", "could you ", "would you ", "hey, ", "ok, ", "so ", "now ", "well, ", "and ",
    "hi, ", "I want you to ", "can you please ", "could you please ", "would you please ", "please can you ",
    "now please ", "just ",
)  # fmt: skip
_LOOSE_OPENINGS = tuple(o for o in _OPENINGS if o.strip() in ("", "hey,", "ok,", "so", "now", "well,", "and", "hi,"))
_ENDINGS = (
    "", "", "", "", "", " please", ", please", " for me", " for me please", " now", " here", " then", " again", ", thanks",
)  # fmt: skip
_ASKING = ("what", "who", "how", "I ", "an ", "a ", "and ", "your ", "caption,", "everything ", "please ", "summary", "alt ")


def described(rng: random.Random) -> str:
    """A request to describe the picture."""
    core = rng.choice(_SEEN).replace("{it}", f"{rng.choice(_THIS)} {rng.choice(_PICTURES)}")
    free = core.startswith(_ASKING)
    opening = rng.choice(_LOOSE_OPENINGS if free else _OPENINGS)
    text = opening + core + ("" if core.endswith("please") else rng.choice(_ENDINGS))
    asks = free or opening.startswith(("can", "could", "would", "please can"))
    return sentence(text, "?" if asks and rng.random() < 0.8 else rng.choice((".", ".", "!", "")))


_HELLO = (
    "hello", "hi", "hey", "hi there", "hello there", "hey there", "good morning", "good afternoon", "good evening", "good day",
    "greetings", "howdy", "hiya", "hello again", "hi again", "hello my friend", "hey you", "hi everyone", "morning", "yo",
    "how are you", "hi, how are you", "hello, how are you", "how are you today", "how do you do", "how is it going",
    "how are you doing", "what's up", "nice to meet you", "pleased to meet you", "hello, nice to meet you", "are you there",
    "anybody there", "hello, are you there", "welcome", "hello computer", "hello model", "hi assistant", "hi, I am new here",
)  # fmt: skip
_THANKS = (
    "thanks", "thank you", "thank you so much", "thanks a lot", "many thanks", "thx", "ty", "great, thanks", "ok thanks",
    "cheers", "perfect, thank you", "that helps, thanks", "thanks for your help", "well done", "good job", "nice", "great",
    "cool", "very good", "ok", "okay", "alright", "awesome", "wonderful", "I see", "got it", "good answer",
)  # fmt: skip
_GOODBYE = (
    "bye", "goodbye", "good bye", "bye bye", "see you", "see you later", "good night", "see you tomorrow", "so long",
    "farewell", "take care", "that is all", "that's all for now", "talk to you later", "I have to go",
)  # fmt: skip
_GREETINGS = ((_HELLO, "Hello! " + ABILITIES), (_THANKS, "You are welcome."), (_GOODBYE, "Goodbye!"))


def greeting(rng: random.Random) -> tuple[str, str]:
    """A greeting, thanks or a goodbye, and what is answered."""
    texts, answer = rng.choices(_GREETINGS, (0.6, 0.25, 0.15))[0]
    return sentence(rng.choice(texts), rng.choice("..!!?") if texts is _HELLO else rng.choice(".!")), answer


_ABOUT = (
    "what can you do", "what can you do for me", "what are you able to do", "what do you do", "who are you", "what are you",
    "what is your name", "do you have a name", "introduce yourself", "tell me about yourself", "describe yourself", "help",
    "help me", "I need help", "how can you help me", "can you help me", "how do you work", "how does this work",
    "how do I use this", "how do I use you", "what is this for", "what can I ask", "what can I ask about",
    "what may I ask you", "what should I ask you", "what can we talk about", "what do you know", "what do you know about",
    "what can you tell me", "what can you talk about", "what are you good at", "what are you for",
    "what are your abilities", "what are your skills", "what are your limits", "what can't you do",
    "what questions can I ask", "which questions do you answer", "what questions do you understand",
    "give me some examples", "show me an example", "what is a good question", "are you a robot", "are you human",
    "are you real", "are you a machine", "are you an AI", "are you a computer", "are you alive", "do you have feelings",
    "do you like me", "do you know me", "do you know who I am", "who am I", "can you see me", "can you see",
    "can you see pictures", "can you hear me", "can you read", "do you understand me", "do you speak English",
    "who made you", "who built you", "how old are you", "where are you from", "where do you live", "what model are you",
    "which model is this", "are you ChatGPT", "what are you made of", "do you learn", "can you learn",
    "do you remember things", "do you forget", "how many people can you know", "how do I add a person",
    "how do I add somebody", "how do I teach you a name", "what else can you do", "is that all you can do",
    "can you do anything else", "can you talk about other things", "what languages do you speak", "can I trust you",
    "are you sure", "do you make mistakes", "do you keep my pictures", "what do you know about me",
    "whom can you recognise", "what sort of pictures do you know", "can we talk", "let's talk", "talk to me",
    "say something", "I have a question", "can I ask you something", "test", "testing",
)  # fmt: skip


def about_itself(rng: random.Random) -> str:
    """A question about the model: who it is, what it can do."""
    text = rng.choice(_ABOUT)
    opening = rng.choice(("", "", "", "", "so, ", "hello, ", "hi, ", "hey, ", "tell me, ", "and ", "wait, ", "please tell me: "))
    statement = text.startswith(("introduce", "tell", "describe", "help", "I ", "give", "show", "let's", "talk", "say", "test"))
    return sentence(opening + text, rng.choice(".!") if statement else "?")


EVERYDAY: dict[str, tuple[str, ...]] = {
    "recognize": (
        "Is {x} here?", "Is {x} there?", "Is {x} in it?", "Is {x} in this?", "Is {x} on it?", "Is {x} with them?",
        "Is {x} one of them?", "Is {x} among them?", "Is {x} in the shot?", "Is {x} in the picture?", "Is {x} in the pic?",
        "Is {x} in my photo?", "Is that {x}?", "Is this {x}?", "Isn't that {x}?", "That's {x}, right?",
        "This is {x}, isn't it?", "Could this be {x}?", "Could that be {x}?", "Can you spot {x}?", "Can you see {x}?",
        "Can you find {x}?", "Can you find {x} here?", "Do you see {x}?", "Do you see {x} anywhere?", "Do you spot {x}?",
        "Do you recognise {x}?", "Do you recognize {x} here?", "Did you see {x}?", "See {x}?", "Any sign of {x}?",
        "Any trace of {x}?", "Is there any sign of {x}?", "Have you found {x}?", "{x}?", "{x} here?",
        "Find {x}, if you can.", "Was {x} there?", "Was {x} with us?", "Did {x} come?", "Did {x} come along?",
        "Did {x} show up?", "Did I catch {x}?", "Did the camera get {x}?", "Do we have {x} in this one?",
        "Does {x} appear here?", "Does {x} appear?", "Does {x} show up in this photo?", "Is {x} visible?",
        "Is {x} to be seen?", "Is one of them {x}?", "Is one of these people {x}?", "I'm looking for {x}, any luck?",
        "I am looking for {x}.", "Please check for {x}.", "Check whether {x} is there.", "Tell me if {x} is here.",
        "Tell me whether {x} is in the picture.", "Could {x} be in this photo?", "Is {x} somewhere in there?",
        "Is {x} missing?", "Am I right that this is {x}?", "I bet {x} is in here.", "Looks like {x} is here, no?",
        "Is {x} present?",
    ),
    "where": (
        "Where's {x} in this?", "Where is {x} in the picture?", "Where is {x} here?", "Where do I find {x}?",
        "Where should I look for {x}?", "where {x}", "So where is {x}?", "Where exactly is {x}?", "Where would {x} be?",
        "Where's {x} standing?", "Where is {x} standing?", "Where does {x} sit?", "Where are you, {x}?",
        "Point me to {x}.", "Point out {x}.", "Show me {x}.", "Show me where {x} is.", "Tell me where {x} is.",
        "Find {x}.", "Find {x} for me.", "Find {x} in the photo.", "Locate {x}.", "Locate {x} please.",
        "Help me find {x}.", "I can't see {x}, where is that?", "Which one is {x}?", "Which of them is {x}?",
        "Which person is {x}?", "On which side is {x}?", "Which side is {x} on?", "What side is {x} on?",
        "Is {x} on the left or on the right?", "Left or right: {x}?", "Do you know where {x} is?",
        "Can you tell me where {x} is?", "Can you show me {x}?", "Can you point to {x}?", "What is the place of {x}?",
        "In what part of the picture is {x}?", "Where in here is {x}?", "Where did {x} go?", "Where is {x} hiding?",
        "Position of {x}?",
    ),
    "wearing": (
        "What's {x} wearing?", "What is {x} wearing today?", "What did {x} put on?", "What does {x} have on today?",
        "What has {x} on?", "How's {x} dressed?", "How is {x} dressed here?", "What are the clothes of {x}?",
        "What are {x}'s clothes?", "Describe {x}'s clothes.", "Describe the clothes of {x}.", "Describe {x}'s outfit.",
        "What's {x}'s outfit?", "What outfit is that on {x}?", "Outfit of {x}?", "Tell me what {x} is wearing.",
        "Tell me about {x}'s clothes.", "What kind of clothes does {x} wear?", "What color is {x} wearing?",
        "What colour does {x} wear?", "Which clothes is {x} in?", "What is {x} in?", "what {x} wearing", "Clothes of {x}?",
        "Can you see what {x} wears?", "Can you tell what {x} is wearing?", "What is the dress of {x}?",
        "What does {x}'s outfit look like?",
    ),
    "hat": (
        "Does {x} have a hat?", "Does {x} have a hat on?", "Has {x} got a hat?", "Any hat on {x}?",
        "What's on {x}'s head?", "Is there a hat on {x}?", "What hat does {x} wear?", "Which hat does {x} have?",
        "Is {x} with a hat?", "A hat on {x}?", "Is {x}'s head covered?", "{x} wearing a hat?",
    ),
    "glasses": (
        "Does {x} have glasses?", "Does {x} have glasses on?", "Has {x} got glasses on?", "Glasses on {x}?",
        "Is {x} with glasses?", "Are those glasses on {x}?", "Are there glasses on {x}'s face?", "{x} wearing glasses?",
        "Any glasses on {x}?", "Is {x} wearing specs?",
    ),
    "doing": (
        "What's {x} doing?", "What's {x} up to?", "what is {x} doing now", "What does {x} do?",
        "What does {x} do in the picture?", "What is {x} doing there?", "What is {x} doing right now?",
        "What is {x} doing in this picture?", "What's {x} doing in this one?", "What has {x} got in hand?",
        "What is {x} holding?", "What's {x} holding?", "Does {x} hold something?", "Tell me what {x} does.",
        "Tell me what {x} is up to.", "Tell me about {x}.", "How does {x} spend the time?", "How is {x} busy?",
        "What keeps {x} busy?", "Describe what {x} is doing.", "Can you see what {x} is doing?",
        "Can you tell what {x} is doing?", "What activity is {x} at?", "And {x}, doing what?", "And what does {x} do?",
        "What is happening with {x}?", "What is going on with {x}?", "Activity of {x}?",
    ),
    "expression": (
        "How's {x}?", "How is {x}?", "How is {x} feeling?", "How's {x} feeling?", "How does {x} feel here?",
        "Is {x} happy?", "Is {x} sad?", "Is {x} angry?", "Is {x} smiling?", "Is {x} laughing?", "Does {x} look happy?",
        "Does {x} smile?", "Is {x} okay?", "Is {x} all right?", "What's {x}'s mood?", "What's {x}'s expression?",
        "What face does {x} make?", "What face is {x} making?", "What's the mood of {x} like?",
        "What kind of mood is {x} in?", "Does {x} seem happy?", "Does {x} seem to be in a bad mood?", "Happy or sad: {x}?",
        "Tell me how {x} feels.", "Tell me about {x}'s mood.", "What does {x} feel?", "What emotion does {x} show?",
        "Is {x} having fun?", "Is {x} enjoying this?",
    ),
    "who_position": (
        "Who's {p}?", "who is {p}", "Who's the one {p}?", "Who's that {p}?", "Who is that {p}?", "Who is it {p}?",
        "Who can be seen {p}?", "Who do we have {p}?", "Who's standing {p}?", "Tell me who is {p}.",
        "Do you know who is {p}?", "Do you know the person {p}?", "Name the person {p}.",
        "What's the name of the person {p}?", "What is the person {p} called?", "And {p}?", "And who is {p}?",
        "Is there someone I know {p}?",
    ),
    "who_doing": (
        "Who's {a}?", "who is {a}", "Who is the one {a}?", "Who's that {a}?", "Tell me who is {a}.",
        "Do you know who is {a}?", "Someone is {a}, who is it?",
    ),
    "who_wearing": (
        "Who's wearing {c}?", "who has {c}", "Who is in {c}?", "Who's the one in {c}?", "Who has {c} on?",
        "Tell me who is wearing {c}.", "Who's that in {c}?",
    ),
    "who_present": (
        "Who's here?", "Who is here?", "Who is this?", "Who is that?", "Who's that?", "Who are they?",
        "Who are these people?", "who do you see", "Who do you recognize?", "Who do you recognise here?", "Who's in it?",
        "Who is in it?", "Who's in the picture?", "Who's in the photo?", "Who is in the pic?", "Who is on the photo?",
        "Who all is here?", "Who all do you see?", "Whom do you see?", "Whom do you recognise?", "Whom do you know here?",
        "Do you know anyone here?", "Do you know anybody in this photo?", "Do you know them?", "Do you know these people?",
        "Do you see anyone you know?", "Do you see someone I know?", "Do you recognize anyone?",
        "Do you recognise someone?", "Is there anyone I know?", "Is anyone I know here?", "Is anybody here that you know?",
        "Any friends of mine here?", "Any friends in this one?", "Are any of my friends here?",
        "Which of my friends are here?", "Which of my friends do you see?", "Who of my friends is here?", "Names, please.",
        "Names of the people?", "Name them.", "Name everyone you know.", "Name everybody here.",
        "Name the people in this picture.", "Tell me the names.", "Tell me who is here.", "Tell me who this is.",
        "Tell me who you see.", "Tag my friends.", "Tag everyone.", "List the people.", "List everyone you know here.",
        "Say who is here.", "Anyone familiar?", "Anybody you know?", "Any familiar faces?", "Familiar faces?",
        "Do any of these faces look familiar?", "Who was there?", "Who came?", "Who came along?", "Who showed up?",
        "Who made it into the photo?", "Who did I photograph?",
    ),
    "beside": (
        "Who's beside {x}?", "Who is beside {x}?", "Who's with {x}?", "Who is with {x}?", "Who's around {x}?",
        "Who's near {x}?", "Who is close to {x}?", "Who is standing with {x}?", "Who does {x} stand next to?",
        "Whom is {x} next to?", "Who is {x} next to?", "Is anybody next to {x}?", "Is someone beside {x}?",
        "Tell me who is next to {x}.", "Who are the neighbours of {x}?", "Next to {x}, who is it?", "Is {x} alone?",
    ),
    "both": (
        "Are {x} and {y} here?", "Are {x} and {y} both there?", "{x} and {y}, both here?", "Did {x} and {y} both come?",
        "Do you see both {x} and {y}?",
    ),
    "doing_both": (
        "What are {x} and {y} up to?", "What do {x} and {y} do?", "what are {x} and {y} doing here",
        "Tell me what {x} and {y} are doing.",
    ),
    "place": (
        "Where's this?", "Where was this?", "Where was that?", "Where was this taken?", "Where was it taken?",
        "Where was the picture taken?", "Where are we?", "Where are they?", "Where are these people?",
        "Where did I take this?", "What's the place?", "Which place is this?", "What kind of place is this?",
        "What's the background?", "What's behind them?", "What's in the back?", "What is behind the people?",
        "What's the setting?", "Is this at home or outside?", "Inside or outside?", "Is this indoors?", "Is it outdoors?",
        "What location is this?", "Tell me where this is.", "Do you know this place?",
    ),
    "light": (
        "Is it day or night?", "Is it night?", "Is it dark?", "Is it daytime?", "Day or night?", "When was this?",
        "When was this taken?", "When was it taken?", "What's the time of day?", "What time is it in the picture?",
        "At what time of day was this?", "Is the sun setting?", "How is the light?", "How late is it there?",
    ),
    "count": (
        "How many people?", "How many are there?", "How many are they?", "How many are in it?", "How many faces?",
        "How many faces do you see?", "How many of us are there?", "How many people can you see?",
        "How many persons are here?", "how many people in the pic", "How many folks are here?", "Count the people.",
        "Count the faces.", "Count them.", "Can you count the people?", "Number of people?",
        "What is the number of people?", "Is there more than one person?", "Is anybody else there?", "Are they two?",
        "Is he alone?", "Is she alone?", "How big is the group?", "A group of how many?",
    ),
    "hair_color": (
        "What's {x}'s hair color?", "What color is {x}'s hair?", "What colour is the hair of {x}?", "Is {x} blonde?",
        "Tell me about {x}'s hair.", "Which hair color has {x}?",
    ),
    "hairstyle": (
        "How does {x} wear the hair?", "What's {x}'s hairstyle?", "What haircut does {x} have?",
        "What's the haircut of {x}?", "How is {x}'s hair cut?",
    ),
    "eye_color": (
        "What color are {x}'s eyes?", "What colour are the eyes of {x}?", "What's {x}'s eye color?",
        "Which eye color has {x}?", "Does {x} have blue or brown eyes?",
    ),
    "skin": ("What's {x}'s skin like?", "How is the skin of {x}?", "What is {x}'s skin tone?"),
    "age": (
        "How old is {x}?", "What's {x}'s age?", "Is {x} young or old?", "Is {x} old?", "About how old is {x}?",
        "How old would you say {x} is?",
    ),
    "gender": ("Is {x} a man?", "Is {x} a woman?", "Is {x} male or female?", "A man or a woman: {x}?"),
    "nose": ("What's {x}'s nose like?", "How is the nose of {x}?", "What kind of nose has {x} got?"),
    "face": ("What's the shape of {x}'s face?", "How is {x}'s face shaped?", "What shape is the face of {x}?"),
    "mark": ("Does {x} have freckles?", "Does {x} have a scar?", "What's on {x}'s cheeks?", "Any marks on {x}'s face?"),
    "facial_hair": (
        "Does {x} have a beard?", "Has {x} got a beard?", "Is {x} shaved?", "What beard does {x} have?", "A beard on {x}?",
    ),
    "earrings": ("Does {x} wear earrings?", "What earrings are those on {x}?", "What's on {x}'s ears?"),
    "describe_position": (
        "How does the person {p} look?", "Describe who is {p}.", "Tell me about the person {p}.",
        "What can you say about the person {p}?",
    ),
    "position_wearing": (
        "What's the person {p} wearing?", "How is the person {p} dressed?", "What clothes has the person {p} got on?",
        "Describe the clothes of the person {p}.",
    ),
    "position_doing": (
        "What's the person {p} doing?", "What is the one {p} up to?", "What's the one {p} doing?",
        "Tell me what the person {p} is doing.",
    ),
    "position_expression": (
        "How is the person {p} feeling?", "What's the mood of the person {p}?", "Is the person {p} happy?",
        "What face does the person {p} make?",
    ),
}  # fmt: skip

LEARNED: dict[str, tuple[str, ...]] = {
    kind: tuple(dict.fromkeys([*texts, *(t for t in EVERYDAY.get(kind, ()) if t not in HELD_OUT.get(kind, ()))]))
    for kind, texts in PRACTICE.items()
}


_BEFORE = ("Hey, ", "So, ", "Okay, ", "And ", "Please: ", "Tell me: ", "Quick question: ", "One more: ", "Hm, ")


def sentence(text: str, stop: str) -> str:
    """The text with a capital letter first and `stop` at its end."""
    return text[:1].upper() + text[1:] + stop


def as_typed(text: str, rng: random.Random) -> str:
    """The text as somebody types it: now and then in small letters, without its last sign, or with a word before or after it.
    Names in `<` `>` stay as they are."""
    draw = rng.random()
    if draw < 0.12:
        text = text[:1].lower() + text[1:]
    elif draw < 0.2:
        text = text.lower()
    if rng.random() < 0.18:
        text = text.rstrip("?.!")
    if rng.random() < 0.12:
        text = rng.choice(_BEFORE) + text
    if rng.random() < 0.06:
        text = text.rstrip() + rng.choice((" Thanks!", " Please.", "?", " I wonder.", " Do you know?"))
    return text or "?"
