"""Bringing models into the folder that the service scans."""

import json
import re
import shutil
import tempfile
from pathlib import Path

from tiltscope.errors import SetupError

MODEL_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")
WANTED = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja")
"""What a model folder is copied with: never pickles, never code."""


def add_model(models: Path, name: str, source: str) -> Path:
    """Copy a model into the scanned folder under a name; a half-copied one is never visible.

    Args:
        models: The folder that is scanned.
        name: The id it will have.
        source: A local folder, or `hf:repository@revision`.

    Raises:
        SetupError: the name or the source is unusable, or the name is taken.
    """
    if MODEL_ID.fullmatch(name) is None:
        raise SetupError(f"{name!r} cannot be a model id: letters, digits, '.', '_' and '-' only")
    target = models / name
    if target.exists():
        raise SetupError(f"{target} exists already: remove it first, or choose another name")
    folder = _download(source.removeprefix("hf:")) if source.startswith("hf:") else Path(source)
    require_model(folder)
    models.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=models))
    try:
        for pattern in WANTED:
            for file in sorted(folder.glob(pattern)):
                shutil.copyfile(file, staging / file.name)
        staging.chmod(0o755)
        staging.rename(target)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return target


def require_model(folder: Path) -> None:
    """Check that a folder looks like a model that can be loaded, or like a LoRA adapter of one.

    Raises:
        SetupError: it does not; the message says why.
    """
    if not folder.is_dir():
        raise SetupError(f"{folder} is no folder")
    config = folder / ("adapter_config.json" if is_adapter(folder) else "config.json")
    if not config.is_file():
        raise SetupError(
            f"{folder} has neither config.json nor adapter_config.json: it is no Transformers model folder, "
            "and no LoRA adapter"
        )
    try:
        json.loads(config.read_text())
    except ValueError as error:
        raise SetupError(f"{config} is not JSON: {error}") from error
    if not any(folder.glob("*.safetensors")):
        raise SetupError(
            f"{folder} has no *.safetensors: other weight formats can run code and are not loaded. "
            "Convert it: model.save_pretrained(folder)"
        )


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter, which names its base in its configuration."""
    return (folder / "adapter_config.json").is_file()


def _download(reference: str) -> Path:
    repository, _, revision = reference.partition("@")
    if not revision:
        raise SetupError(
            f"name the revision: hf:{repository}@<commit>. Without one, results are not reproducible"
        )
    try:
        from huggingface_hub import snapshot_download
    except ModuleNotFoundError as error:
        raise SetupError("downloading needs huggingface_hub: pip install huggingface_hub") from error
    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=list(WANTED)))
    except Exception as error:
        raise SetupError(f"could not fetch {repository}@{revision}: {error}") from error
