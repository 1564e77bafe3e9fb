"""How an arm words a prompt."""

from dataclasses import dataclass, field
from typing import Any

from workers.pipelines.rendering import PLAIN, Demonstration, Rendering, conversation, render_ids, text


@dataclass(frozen=True)
class Prompt:
    text: str | None = None
    messages: tuple[dict[str, str], ...] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


class Letters:
    """A tokenizer of letters, with a chat template of its own."""

    chat_template = "own"

    def __call__(self, prompt: str) -> dict[str, list[int]]:
        return {"input_ids": [ord(letter) for letter in prompt]}

    def apply_chat_template(self, turns: Any, *, chat_template: str | None, **_: Any) -> list[int]:
        said = "".join(f"<{turn['role']}>{turn['content']}" for turn in turns)
        return self(f"{chat_template or self.chat_template}:{said}")["input_ids"]


def said(ids: list[int]) -> str:
    return "".join(map(chr, ids))


SHOTS = Rendering(
    prefix="Sums. ",
    template="Q {prompt} A ",
    demonstrations=(Demonstration("1+1", "2"), Demonstration("2+2", "4")),
    separator="; ",
)


def test_text_is_prefix_then_worked_examples_then_the_prompt():
    assert text(Prompt("3+3"), SHOTS) == "Sums. Q 1+1 A 2; Q 2+2 A 4; Q 3+3 A "
    assert text(Prompt("3+3"), PLAIN) == "3+3"


def test_metadata_and_literal_braces_are_filled_in():
    hint = Rendering(template="{{{metadata.hint}}} {prompt}")
    assert text(Prompt("3+3={x}", metadata={"hint": "add {y}"}), hint) == "{add {y}} 3+3={x}"


def test_demonstrations_are_turns_after_the_system_and_the_prefix_opens_what_follows_it():
    messages = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "3+3"})
    turns = conversation(messages, Prompt(messages=messages), SHOTS)
    assert [turn["role"] for turn in turns] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert [turn["content"] for turn in turns] == [
        "Be brief.", "Sums. Q 1+1 A ", "2", "Q 2+2 A ", "4", "Q 3+3 A ",
    ]  # fmt: skip
    assert messages[1]["content"] == "3+3"


def test_a_plain_prompt_goes_through_a_named_chat_template():
    own, other = Rendering(chat_template="reference"), Rendering(chat_template="candidate")
    assert said(render_ids(Letters(), Prompt("hi"), PLAIN)) == "hi"
    assert said(render_ids(Letters(), Prompt("hi"), own)) == "own:<user>hi"
    assert said(render_ids(Letters(), Prompt("hi"), other, "theirs")) == "theirs:<user>hi"
