"""The mini family's tokenizer: byte-level BPE, trained on the sentences of the portraits world.

The phrases that name things ("red hair", "on the left", "reading a book") are kept whole by the pre-tokenizer and become one
token each, wherever they stand in natural English: a small language model then meets one token per fact. Anything else a
user types still has a spelling, byte by byte if need be.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from plvm_lab.portraits import scene as S
from plvm_lab.portraits.dialogues import DialogueMix, draw_dialogue
from plvm_lab.portraits.person import PHRASES, SLOTS, draw_person
from plvm_lab.portraits.phrases import describe
from plvm_lab.portraits.sentences import HELD_OUT, TRAIN

BEGIN, END, PAD, IMAGE = "<s>", "</s>", "<pad>", "<image>"


def phrases() -> list[str]:
    """Every phrase that is one token, longest first."""
    words = [p for slot in PHRASES.values() for p in slot.values() if " " in p]
    words += [p for table in (S.PLACES, S.LIGHTS, S.ACTIVITIES, S.HATS) for p in table.values() if " " in p]
    words += [p for ps in S.POSITIONS.values() for p in ps] + ["someone I do not know", "Someone I do not know"]
    words += ["in this photo", "next to", "t-shirt", "middle-aged", "USER:", "ASSISTANT:"]
    return sorted(set(words), key=lambda w: (-len(w), w))


def sentences(seed: int, count: int) -> Iterator[str]:
    """`count` sample dialogues as plain text, and every wording once in a while."""
    rng = random.Random(f"plvm-corpus/{seed}")
    for _ in range(count):
        scene = S.draw_scene([draw_person(rng) for _ in range(S.people_count(rng))], rng)
        dialogue = draw_dialogue(scene, rng.randint(1, 3), DialogueMix(), rng)
        for named in dialogue.named:
            yield f"USER:\n is {describe(named.person, SLOTS)}."
        for q in dialogue.questions:
            yield f"USER: {q.text} ASSISTANT: {q.answer}".replace("<n", " ").replace(">", "")
    for phrase in [*phrases(), *S.EXPRESSIONS.values()]:
        yield from [phrase if phrase == "USER:" else " " + phrase] * 3
    for wording in [*TRAIN.values(), *HELD_OUT.values()]:
        for text in wording:
            yield from [" " + text.split("{")[0], *(" " + part for part in text.split("}")[1:])] * 3


def build_tokenizer(seed: int = 0, count: int = 3000) -> Any:
    """Train the tokenizer; the same seed gives the same vocabulary. Returns a `PreTrainedTokenizerFast`."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    whole = "|".join(p.replace(".", r"\.") for p in phrases())
    pattern = rf" ?(?:{whole})(?!\w)| ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]|\s"
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=4000,
        min_frequency=2,
        show_progress=False,
        special_tokens=[PAD, BEGIN, END, IMAGE],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator(sentences(seed, count), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=PAD,
        extra_special_tokens=[IMAGE],
        clean_up_tokenization_spaces=False,
    )
