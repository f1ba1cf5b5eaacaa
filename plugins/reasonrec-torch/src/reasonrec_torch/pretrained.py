"""Models of transformers from disk: found by name, loaded without a download, without pickle and without their code.

Torch and transformers are imported by `load_pretrained` alone: settings and fingerprints name a model cheaply.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reasonrec_core.errors import WeightsError
from reasonrec_torch.weights import Weights, find_weights

if TYPE_CHECKING:
    import torch

MODEL_FILES = ("*.json", "*.txt", "*.model", "*.safetensors")
"""What is wanted of a model's folder or repository."""
CHAT_MODEL_FILES = (*MODEL_FILES, "*.jinja")
"""The same of a model that is spoken to, whose template may be a file of its own."""
MODEL_NEEDS = ("config.json", "*.safetensors")
"""What makes it complete."""
SAFE: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}


def find_model(
    name: str, revision: str | None = None, files: Sequence[str] = MODEL_FILES, needs: Sequence[str] = MODEL_NEEDS
) -> Weights:
    """Find a model: a folder (or a .gguf file), the hub's cache, the hub, or a package of the registry that carries it.

    Raises:
        WeightsError: found nowhere; the message lists every place that was tried.
    """
    return find_weights(name, files=files, needs=needs, revision=revision)


@dataclass(frozen=True)
class PretrainedModel:
    """A model as transformers gives it.

    Attributes:
        model: in evaluation mode, on its device.
        reader: its tokenizer or processor.
        config: its configuration.
    """

    model: Any
    reader: Any
    config: Any


def load_pretrained(
    path: Path,
    model_class: Any | Callable[[Any], Any],
    reader_class: Any,
    *,
    dtype: torch.dtype,
    device: torch.device,
    optional: tuple[str, ...] = (),
    fix: str = "Give a folder or hub name of a model that transformers knows, with safetensors.",
) -> PretrainedModel:
    """Load a model and what reads its inputs.

    Args:
        path: a folder with safetensors, or a .gguf file, whose tensors are turned back into plain ones.
        model_class: an auto class of transformers, or a function that picks one by the configuration (and raises
            ValueError where none fits).
        reader_class: ``AutoTokenizer``, ``AutoProcessor``.
        dtype: of the weights.
        device: where the model goes.
        optional: prefixes of tensors that may be missing, as nothing reads them.
        fix: what to do where it cannot be loaded.

    Raises:
        WeightsError: transformers cannot load it, or tensors are missing.
    """
    from transformers import AutoConfig

    folder, more = (path, {}) if path.is_dir() else (path.parent, {"gguf_file": path.name})
    try:
        with quiet_transformers():
            config = AutoConfig.from_pretrained(folder, **more, **SAFE)
            chosen = model_class if hasattr(model_class, "from_pretrained") else model_class(config)
            reader = reader_class.from_pretrained(folder, **more, **SAFE)
            model, report = chosen.from_pretrained(
                folder, output_loading_info=True, use_safetensors=True, dtype=dtype, **more, **SAFE
            )
    except Exception as error:  # its loaders raise whatever their file formats do
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WeightsError(f"transformers cannot load the model ({reason})", where=str(path), fix=fix) from error
    missing = sorted(key for key in report["missing_keys"] if not key.startswith(optional or ("\0",)))
    if missing:
        raise WeightsError(f"the weights lack {len(missing)} tensors, such as {missing[0]}", where=str(path))
    if more:
        _forget_gguf(model)
    return PretrainedModel(model.eval().to(device), reader, config)


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """No progress bars and no reports about weights that are not needed; what is missing we check ourselves."""
    from transformers.utils import logging

    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _forget_gguf(model: Any) -> None:
    """The tensors are plain now; as long as the model thinks itself quantised it can be neither saved nor tuned."""
    model.hf_quantizer = None
    vars(model).pop("quantization_method", None)
    vars(model.config).pop("quantization_config", None)
