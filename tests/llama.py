"""A tokenizer in the format of Llama's, small: a blank before every piece, `▁` for blanks, bytes for what has no token."""

from __future__ import annotations

from typing import Any

WORDS = (
    "A chat between a curious user and an artificial intelligence assistant . The assistant gives helpful , detailed , "
    "and polite answers to the user questions USER ASSISTANT is Is in this photo Answer with Yes or No "
    "Where he on the left next"
)
SPECIAL = ("<unk>", "<s>", "</s>", "<image>", "<pad>")


def llama_tokenizer() -> Any:
    """`WORDS`, each of them one token after a blank; every other character is a token or some bytes.

    Ids as in Llama's files: 0 <unk>, 1 <s>, 2 </s>, 3..258 bytes; <image> and <pad> come last.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers
    from transformers import PreTrainedTokenizerFast

    vocab = {token: i for i, token in enumerate((*SPECIAL[:3], *(f"<0x{i:02X}>" for i in range(256))))}
    merges = []
    for c in "▁.,:?!'" + "".join(map(chr, (*range(65, 91), *range(97, 123)))):
        vocab.setdefault(c, len(vocab))
    for word in ("▁" + word for word in WORDS.split()):
        for end in range(2, len(word) + 1):  # the word grows letter by letter
            if word[:end] not in vocab:
                vocab[word[:end]] = len(vocab)
                merges.append((word[: end - 1], word[end - 1]))
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        extra_special_tokens=["<image>"],
        clean_up_tokenization_spaces=False,
    )
