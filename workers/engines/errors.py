"""What an engine refuses, and why."""

from workers.errors import WorkerError


class UnsafeModelFolder(WorkerError):
    """The folder would run code or read outside its root: it is never loaded."""

    code = "unsafe_model"


class UnsupportedModel(WorkerError):
    """The folder is safe but this engine cannot compute its exact law."""

    code = "unsupported_model"


class UnrenderablePrompt(WorkerError):
    """The prompt cannot be turned into token ids by this tokenizer."""

    code = "unrenderable_prompt"


class PromptTooLong(WorkerError):
    """Prompt and completion together exceed the model's context."""

    code = "prompt_too_long"


class NonFiniteLogits(WorkerError):
    """The model returned NaN or +inf: no law is defined."""

    code = "non_finite_logits"


class EngineAborted(WorkerError):
    """The caller asked to stop; nothing of the call is kept."""

    code = "aborted"


class TreeTooLarge(WorkerError):
    """The exact tree has more nodes than the limit."""

    code = "tree_too_large"
