"""From a prompt to token ids."""

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import TemplateError

from workers.engines.errors import UnrenderablePrompt


def render_prompt(tokenizer: Any, prompt: str) -> list[int]:
    """Encode text by the tokenizer's own defaults, without a chat template.

    Args:
        tokenizer: A transformers tokenizer.
        prompt: The text.

    Returns:
        At least one token id.

    Raises:
        UnrenderablePrompt: if the text encodes to no token.
    """
    return _nonempty(tokenizer(prompt)["input_ids"])


def render_messages(
    tokenizer: Any, messages: Sequence[Mapping[str, str]], chat_template: str | None = None
) -> list[int]:
    """Encode a conversation by a chat template, by default the tokenizer's own, ready for the assistant.

    Args:
        tokenizer: A transformers tokenizer.
        messages: `role` and `content` of each turn.
        chat_template: Text of another chat template.

    Returns:
        At least one token id.

    Raises:
        UnrenderablePrompt: if there is no chat template, it refuses the messages, or it yields no token.
    """
    if chat_template is None and not getattr(tokenizer, "chat_template", None):
        raise UnrenderablePrompt("the tokenizer has no chat template; give `prompt` instead of `messages`")
    conversation = [dict(message) for message in messages]
    try:
        ids = tokenizer.apply_chat_template(
            conversation,
            chat_template=chat_template,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=False,
        )
    except TemplateError as error:
        raise UnrenderablePrompt(f"the chat template refused the messages: {error}") from error
    return _nonempty(ids)


def _nonempty(ids: Sequence[int]) -> list[int]:
    if not ids:
        raise UnrenderablePrompt("the prompt encodes to no token")
    return [int(token) for token in ids]
