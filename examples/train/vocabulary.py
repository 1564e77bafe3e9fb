"""The character vocabulary that all four models share, and its tokenizer."""

import json
from pathlib import Path
from typing import Final

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

END: Final = "<eos>"
COMPUTE: Final = "<compute>"
GUESS: Final = "<guess>"
SPECIALS: Final = (END, COMPUTE, GUESS)
SYMBOLS: Final = (*SPECIALS, *"0123456789", "+", "=", ">")
IDS: Final = {symbol: index for index, symbol in enumerate(SYMBOLS)}


def characters(text: str) -> list[int]:
    """Token ids of plain text without special tokens; KeyError on an unknown character."""
    return [IDS[character] for character in text]


def build_tokenizer() -> PreTrainedTokenizerFast:
    """One token per character, three special tokens; no BOS, and nothing is added to a prompt.

    There is deliberately no unknown token: a character outside the vocabulary is an error,
    not a prompt that silently loses a digit.
    """
    tokenizer = Tokenizer(models.WordLevel(dict(IDS)))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens([AddedToken(symbol, special=True, normalized=False) for symbol in SPECIALS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        additional_special_tokens=[COMPUTE, GUESS],
        clean_up_tokenization_spaces=False,
        model_max_length=32,
    )


def save_tokenizer(folder: Path) -> None:
    """Write ``tokenizer.json`` and ``tokenizer_config.json`` into a model folder."""
    build_tokenizer().save_pretrained(str(folder))
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text())
    config["tokenizer_class"] = "PreTrainedTokenizerFast"  # the name that transformers 4 also knows
    path.write_text(json.dumps(config, indent=2) + "\n")
