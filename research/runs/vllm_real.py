"""The same questions to a model that a real vLLM server runs and to the same model loaded here. Run by hand, beside a GPU.

    vllm serve llava-hf/llava-1.5-7b-hf --enable-prompt-embeds --trust-request-chat-template --gpu-memory-utilization 0.4
    python research/runs/vllm_real.py ALIGNER http://127.0.0.1:8000 --dtype float16

ALIGNER is the folder or Hub id of an Aligner trained for that model. Drawn people and pictures are enough: what is compared is
whether both compute the same, not whether it is right. Both have names spelled (`plvm.vllm.spelled`).

    answers    how many are equal, word by word; numbers of 16 bits may part ways after some words
    opening    how many begin with the same three words
    P(Yes)     the largest difference, over all people and pictures

Exit code 1 where fewer than nine in ten answers begin alike, or P(Yes) differs by more than 0.05: then the prompts differ.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from plvm import personal
from plvm.personal import Personal
from plvm.types import SamplingParams
from plvm.vllm.spelled import SpelledText, spelled
from plvm.vllm.wire import Vllm
from plvm_lab.evaluate.portraits_benchmark import SMALL, portraits

QUESTIONS = ("Who is in the picture?", "What is {name} doing?", "Describe the picture.", "Is {name} on the left?")
ALIKE, APART = 0.9, 0.05


def answers_here(vlm: Personal, asks: list[Any], params: SamplingParams) -> list[str]:
    """What the model says that is loaded here, names spelled."""
    requests = vlm.engine.requests(asks, strict_names=True, namespace="default")
    said = vlm.engine.answer([spelled(r, vlm.prompt.template.introduce) for r in requests], params)
    texts = []
    for (_, _, people), answer in zip(asks, said, strict=True):
        text = SpelledText(people)
        texts.append(text.push(answer.text) + text.close())
    return texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="the folder or Hub id of a trained Aligner")
    parser.add_argument("url", help="the address of a vLLM server that runs its backbone")
    parser.add_argument("--key", default="", help="the server's key")
    parser.add_argument("--device", help="where the model is loaded here")
    parser.add_argument("--dtype", help="its numbers: those of the server")
    parser.add_argument("--pictures", type=int, default=12)
    parser.add_argument("--tokens", type=int, default=32, help="of an answer")
    arguments = parser.parse_args()

    bench = portraits("val", 0, SMALL)
    album, names = bench.album(), bench.names[:3]
    far = personal.load(arguments.model, dtype=arguments.dtype, vllm=Vllm(arguments.url, arguments.key))
    here = personal.load(arguments.model, arguments.device, arguments.dtype)
    people = far.enroll_many({name: [album.reference(name)] for name in names})
    pictures = [album.query(i) for i in range(arguments.pictures)]
    asks = [(pictures[i], q.replace("{name}", f"<{names[i % 3]}>"), people) for i in range(len(pictures)) for q in QUESTIONS]
    params = SamplingParams(max_tokens=arguments.tokens)
    pairs = list(zip(answers_here(here, asks, params), (a.text for a in far.ask_many(asks, params)), strict=True))
    equal = sum(one == other for one, other in pairs)
    alike = sum(one.split()[:3] == other.split()[:3] for one, other in pairs)
    chances = zip(here.recognize(pictures, people), far.recognize(pictures, people), strict=True)
    apart = max(abs(a - b) for row, other in chances for a, b in zip(row, other, strict=True))
    print(f"answers equal: {equal} of {len(pairs)}; opening alike: {alike}; P(Yes) at most {apart:.4f} apart")
    for (_, question, _), (one, other) in zip(asks, pairs, strict=True):
        if one != other:
            print(f"  {question}\n    here: {one}\n    vLLM: {other}")
    sys.exit(alike < ALIKE * len(pairs) or apart > APART)


if __name__ == "__main__":
    main()
