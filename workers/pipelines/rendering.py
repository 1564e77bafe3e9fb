"""How a prompt becomes token ids: plainly, or as an arm words it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Any, Literal, Protocol

from workers.engines.rendering import render_messages, render_prompt

Turns = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A worked example."""

    prompt: str
    completion: str


@dataclass(frozen=True, slots=True)
class Rendering:
    """What an arm adds to a prompt.

    Attributes:
        prefix: Opens the text, or the first message that is not the system's.
        template: A format string for the prompt, or the last message, and for each demonstration's.
        demonstrations: Worked examples before the prompt, or turns before the conversation.
        separator: Between texts; messages need none.
        chat_template: The side whose chat template renders; None renders text as text, and messages by the
            sampling model's own.
    """

    prefix: str = ""
    template: str = "{prompt}"
    demonstrations: tuple[Demonstration, ...] = ()
    separator: str = "\n\n"
    chat_template: Literal["reference", "candidate"] | None = None

    @property
    def added(self) -> int:
        """Characters it adds to a prompt, metadata aside."""
        each = len(self.template)
        worked = (len(d.prompt) + len(d.completion) + each for d in self.demonstrations)
        return len(self.prefix) + each + sum(worked)


PLAIN = Rendering()


class Renderable(Protocol):
    """What is rendered of a prompt."""

    @property
    def text(self) -> str | None:
        """Plain text, or None."""

    @property
    def messages(self) -> Sequence[Mapping[str, str]] | None:
        """A conversation, or None."""

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Values that a template may fill in."""


def render_ids(
    tokenizer: Any, prompt: Renderable, rendering: Rendering = PLAIN, chat_template: str | None = None
) -> list[int]:
    """Token ids of a prompt.

    Args:
        tokenizer: The sampling model's tokenizer, a transformers tokenizer.
        prompt: The prompt.
        rendering: What an arm adds.
        chat_template: Text of the chat template to use instead of the tokenizer's own.

    Raises:
        UnrenderablePrompt: there is no chat template where one is needed, it refuses the messages, or no
            token is left.
    """
    if prompt.messages is not None:
        return render_messages(tokenizer, conversation(prompt.messages, prompt, rendering), chat_template)
    if rendering.chat_template is not None:
        turns = [{"role": "user", "content": prompt.text or ""}]
        return render_messages(tokenizer, conversation(turns, prompt, rendering), chat_template)
    return render_prompt(tokenizer, text(prompt, rendering))


def text(prompt: Renderable, rendering: Rendering) -> str:
    """A plain prompt as an arm words it."""
    worked = [
        filled(rendering.template, d.prompt, {}) + d.completion + rendering.separator
        for d in rendering.demonstrations
    ]
    return "".join(
        [rendering.prefix, *worked, filled(rendering.template, prompt.text or "", prompt.metadata)]
    )


def conversation(messages: Sequence[Mapping[str, str]], prompt: Renderable, rendering: Rendering) -> Turns:
    """A conversation as an arm words it: demonstrations follow what the system says."""
    turns = [dict(message) for message in messages]
    turns[-1]["content"] = filled(rendering.template, turns[-1]["content"], prompt.metadata)
    start = next((i for i, turn in enumerate(turns) if turn["role"] != "system"), len(turns) - 1)
    worked = [
        {"role": role, "content": content}
        for d in rendering.demonstrations
        for role, content in (
            ("user", filled(rendering.template, d.prompt, {})),
            ("assistant", d.completion),
        )
    ]
    turns = [*turns[:start], *worked, *turns[start:]]
    turns[start]["content"] = rendering.prefix + turns[start]["content"]
    return turns


def filled(template: str, prompt: str, metadata: Mapping[str, Any]) -> str:
    """A template with its fields filled in; only `prompt` and `metadata.KEY` are fields."""
    parts = []
    for literal, name, _, _ in Formatter().parse(template):
        parts.append(literal)
        if name == "prompt":
            parts.append(prompt)
        elif name is not None:
            parts.append(str(metadata[name.removeprefix("metadata.")]))
    return "".join(parts)
