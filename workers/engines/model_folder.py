"""Which model folders may be loaded at all. Standard library only, so a scan costs nothing."""

import fnmatch
from pathlib import Path
from typing import Any

from workers.engines.digests import read_json
from workers.engines.errors import UnsafeModelFolder, UnsupportedModel

_PICKLED_WEIGHTS = (
    "pytorch_model*.bin",
    "model*.bin",
    "adapter_model*.bin",
    "consolidated*.pth",
    "*.ckpt",
    "*.pkl",
    "*.pickle",
)
_CONFIGURATIONS = ("config.json", "tokenizer_config.json", "generation_config.json", "processor_config.json")
# Each names code to import or a kernel to fetch.
_CODE_KEYS = ("auto_map", "custom_pipelines", "trust_remote_code")
_ATTENTION_KEYS = ("_attn_implementation", "attn_implementation", "experts_implementation")


def checked_folder(path: Path, root: Path | None = None) -> Path:
    """The resolved folder of a whole model, once everything in it is known to be inert.

    Args:
        path: The model folder.
        root: Where model folders may lie; links may not lead out of it. The folder itself if None.

    Returns:
        The folder with links resolved.

    Raises:
        UnsafeModelFolder: if it leads outside `root`, holds pickled weights, or its configuration names code.
        UnsupportedModel: if it holds no safetensors, is an adapter, or is quantised.
    """
    folder = inert_folder(path, root)
    _check_supported(folder)
    return folder


def inert_folder(path: Path, root: Path | None = None) -> Path:
    """The resolved folder, once nothing in it can run or lead elsewhere; what it holds is not looked at.

    Raises:
        UnsafeModelFolder: if it leads outside `root`, holds pickled weights, or its configuration names code.
        UnsupportedModel: if it is no folder, or a configuration is not JSON.
    """
    folder = path.resolve()
    wall = folder if root is None else root.resolve()
    if not folder.is_dir():
        raise UnsupportedModel("not a folder")
    if not folder.is_relative_to(wall):
        raise UnsafeModelFolder("the folder lies outside the model root")
    for file in sorted(folder.iterdir()):
        if not file.resolve().is_relative_to(wall):
            raise UnsafeModelFolder(f"{file.name} leads outside the model root")
        if any(fnmatch.fnmatch(file.name, pattern) for pattern in _PICKLED_WEIGHTS):
            raise UnsafeModelFolder(f"{file.name} is pickled; only safetensors are loaded, remove it")
    for name in _CONFIGURATIONS:
        _check_inert(name, _configuration(folder / name))
    return folder


def _configuration(file: Path) -> dict[str, Any]:
    try:
        return read_json(file)
    except ValueError as error:
        raise UnsupportedModel(f"{file.name} is not a JSON object") from error


def _check_inert(name: str, value: object) -> None:
    if isinstance(value, list):
        for item in value:
            _check_inert(name, item)
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        if key in _CODE_KEYS and item:
            raise UnsafeModelFolder(f"{name} has {key}: custom model code is never run")
        if key in _ATTENTION_KEYS and isinstance(item, str) and not item.isidentifier():
            raise UnsafeModelFolder(f"{name} has {key} {item!r}: kernels are never fetched")
        _check_inert(name, item)


def _check_supported(folder: Path) -> None:
    if (folder / "adapter_config.json").is_file():
        raise UnsupportedModel("the folder is an adapter, not a whole model")
    if not (folder / "config.json").is_file():
        raise UnsupportedModel("no config.json")
    if not any(folder.glob("*.safetensors")):
        raise UnsupportedModel("no *.safetensors weights")
    if _configuration(folder / "config.json").get("quantization_config"):
        raise UnsupportedModel("quantised weights are not supported; register dequantised safetensors")
