"""Runs encoders over a catalogue: batched, cached by content, resumable, memory-mapped."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from reasonrec_core.components import Encoder, ItemReader
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.data.images import ImageRefused
from reasonrec_core.errors import DataError, PluginError, ReasonRecError
from reasonrec_core.io import content_hash, write_json
from reasonrec_core.observe.feature_cache import Block, RowStore
from reasonrec_core.observe.inputs import ImageInputs, ItemInputs, RefusedImage, TextInputs, load_batches
from reasonrec_core.plugins.checks import described
from reasonrec_core.types import Bool, Float32, Observation, Progress, no_progress

FORMAT = 1
FLUSH_SECONDS = 5.0
"""How much work a kill may cost."""

NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True)
class ObservedItems:
    """All items as the encoders see them; keys are the names under which the encoders are configured.

    Attributes:
        features: float32[n_items, d] per encoder, memory-mapped read-only; rows that are not ``present`` hold NaN.
        present: bool[n_items] per encoder: False where the item lacks the modality or its image was refused.
        refused: images that were named and not used, per encoder's view of them, each image once.
        digests: what the features were computed from (inputs, weights, settings), per encoder.
    """

    features: dict[str, Float32]
    present: dict[str, Bool]
    refused: list[RefusedImage] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)

    def observation(self, horizon: Float32) -> Observation:
        """The view for a batch whose evidence horizon is ``horizon`` (float32[B])."""
        return Observation(self.features, self.present, horizon)


def observe_items(
    catalog: Catalog,
    encoders: Mapping[str, Encoder[Any]],
    cache: Path,
    *,
    batch_size: int = 64,
    progress: Progress = no_progress,
    some: bool = True,
    state: Mapping[str, str] = NOTHING,
) -> ObservedItems:
    """Encode every item with every encoder, reusing rows whose input, weights and settings have not changed.

    Args:
        catalog: the items.
        encoders: fitted encoders by the user's name for them. A config with ``fields`` chooses the text fields.
        cache: folder of the row stores; shared between catalogues and runs.
        batch_size: inputs per call of `Encoder.encode`.
        progress: called as ``progress(done, total, label)``.
        some: whether some item must have what an encoder reads (else the pipeline is not what its user meant).
        state: per encoder a hash of what its vectors depend on besides its fingerprint.

    Raises:
        DataError: no item has what an encoder reads, though some must, or a text field does not exist.
        PluginError: an encoder raised, or returned a wrong shape or values that are not finite.
    """
    observed = ObservedItems({}, {})
    images: ImageInputs | None = None
    refused: dict[int, RefusedImage] = {}
    for name, encoder in encoders.items():
        inputs: ItemReader
        if encoder.modality == "text":
            inputs = TextInputs(_texts(catalog, name, encoder))
        elif encoder.modality in ("image", "item"):
            inputs = images = images or ImageInputs(catalog)
            refused.update({r.item: r for r in images.refused})
            if encoder.modality == "item":
                inputs = ItemInputs(images, TextInputs(_texts(catalog, name, encoder)))
        else:
            inputs = _read(catalog, name, encoder)
        run = _Run(name, encoder, catalog, inputs, batch_size, progress, state.get(name))
        view, key = run.observe(cache)
        keys = inputs.keys
        bad = np.array(list(view.refused), dtype="S32")
        observed.features[name] = view.values
        observed.present[name] = (keys != b"") & ~np.isin(keys, bad)
        observed.digests[name] = content_hash(key, view.digest)
        for item in np.flatnonzero(np.isin(keys, bad)):
            path = catalog.image_paths[item] or ""
            refused[int(item)] = RefusedImage(int(item), path, view.refused[bytes(keys[item])])
        if some:
            _check_some(name, inputs, observed.present[name], list(refused.values()))
    observed.refused.extend(refused[item] for item in sorted(refused))
    return observed


@dataclass
class _Run:
    """One encoder over one catalogue."""

    name: str
    encoder: Encoder[Any]
    catalog: Catalog
    inputs: ItemReader
    batch_size: int
    progress: Progress
    state: str | None
    width: int | None = None

    def observe(self, cache: Path) -> tuple[Block, str]:
        """The features, and the key of the encoder that they were made by."""
        try:
            fingerprint = self.encoder.fingerprint()
        except ReasonRecError:
            raise
        except (Exception, SystemExit) as error:
            raise self.broken(f"could not give its fingerprint ({described(error)})") from error
        more = [self.state] if self.state else []
        key = content_hash(FORMAT, self.encoder.modality, type(self.encoder).__qualname__, fingerprint, *more)
        store = RowStore(cache / key[:32])
        keys = self.inputs.keys
        view = store.view(keys)
        if view is None:
            self.encode_missing(store)
            write_json(store.folder / "encoder.json", {"fingerprint": fingerprint, **self.encoder.provenance()})
            view = store.assemble(keys)
        return view, key

    def encode_missing(self, store: RowStore) -> None:
        """Encode what the store lacks; whatever was finished is kept, even if this ends early."""
        keys = self.inputs.keys
        unique, first = np.unique(keys, return_index=True)
        known = store.known(unique)
        pending, self.width = known.pending, known.width
        # Long inputs first: batches hold inputs of like length, and a lack of memory shows at once.
        items = sorted(first[pending].tolist(), key=self.inputs.size, reverse=True)
        total = int((unique != b"").sum())
        done, label = total - len(items), f"observe {self.name}"
        finished: list[tuple[list[bytes], Float32 | None, dict[bytes, str]]] = []
        flushed = time.monotonic()
        self.progress(done, total, label)
        try:
            for batch, loaded in load_batches(self.inputs.load, items, self.batch_size):
                good = [i for i, value in enumerate(loaded) if not isinstance(value, ImageRefused)]
                values = self.encode([batch[i] for i in good], [loaded[i] for i in good])
                refused = {
                    bytes(keys[item]): value.reason
                    for item, value in zip(batch, loaded, strict=True)
                    if isinstance(value, ImageRefused)
                }
                finished.append(([bytes(keys[batch[i]]) for i in good], values, refused))
                done += len(batch)
                self.progress(done, total, label)
                if time.monotonic() - flushed > FLUSH_SECONDS:
                    _flush(store, finished)
                    flushed = time.monotonic()
        finally:
            _flush(store, finished)

    def encode(self, items: Sequence[int], inputs: list[Any]) -> Float32 | None:
        """float32[len(items), d], checked; None for no items."""
        if not items:
            return None
        try:
            values = self.encoder.encode(inputs)
        except ReasonRecError:
            raise
        except (Exception, SystemExit) as error:
            raise self.broken(f"failed on {self.culprit(items, inputs)} ({described(error)})") from error
        if not isinstance(values, np.ndarray) or not np.issubdtype(values.dtype, np.floating):
            raise self.broken(f"returned {_kind(values)}, not a numpy array of floats")
        wide = values.shape[1] if values.ndim == 2 else 0
        if values.ndim != 2 or len(values) != len(items) or wide == 0 or wide != (self.width or wide):
            due, first = f"({len(items)}, {self.width or 'd'})", self.catalog.ids[items[0]]
            raise self.broken(f"returned the shape {values.shape} instead of {due}, at item {first!r}")
        bad = [items[int(row)] for row in np.flatnonzero(~np.isfinite(values).all(axis=1))]
        if bad:
            raise self.broken(f"returned a value that is not finite for item {self.catalog.ids[bad[0]]!r}")
        self.width = wide
        return values.astype(np.float32, copy=False)

    def culprit(self, items: Sequence[int], inputs: list[Any]) -> str:
        """Which item an encoder fails on, found by encoding one at a time."""
        for item, value in zip(items, inputs, strict=True):
            try:
                self.encoder.encode([value])
            except (Exception, SystemExit):  # noqa: BLE001 - whatever it was, it was this item
                return f"item {self.catalog.ids[item]!r}"
        return f"the batch of {len(items)} that starts with item {self.catalog.ids[items[0]]!r}"

    def broken(self, what: str) -> PluginError:
        """The error that names the encoder."""
        return _broken(self.name, self.encoder, what)


def _texts(catalog: Catalog, name: str, encoder: Encoder[Any]) -> list[str | None]:
    try:
        return catalog.texts(getattr(encoder.config, "fields", None))
    except DataError as error:
        raise DataError(error.what, where=f"observe.{name}.fields", fix=error.fix) from error


def _read(catalog: Catalog, name: str, encoder: Encoder[Any]) -> ItemReader:
    try:
        keys = (inputs := encoder.read(catalog)).keys
    except ReasonRecError:
        raise
    except (Exception, SystemExit) as error:
        raise _broken(name, encoder, f"could not read the items ({described(error)})") from error
    if not isinstance(keys, np.ndarray) or keys.dtype.str != "|S32" or keys.shape != (len(catalog),):
        raise _broken(name, encoder, f"gave keys that are not S32[{len(catalog)}]")
    return inputs


def _check_some(name: str, inputs: ItemReader, present: Bool, refused: list[RefusedImage]) -> None:
    if present.any() or not len(present):
        return
    if isinstance(inputs, ImageInputs) and refused:
        first = refused[0]
        what = f"none of the {len(refused)} images could be used; the first one, {first.path!r}: {first.reason}"
    else:
        what = f"no item has {inputs.missing}"
    raise DataError(what, where=f"observe.{name}", fix="Correct the items, or remove this encoder from the pipeline.")


def _flush(store: RowStore, finished: list[tuple[list[bytes], Float32 | None, dict[bytes, str]]]) -> None:
    keys = [key for some, _, _ in finished for key in some]
    values = [rows for _, rows, _ in finished if rows is not None]
    refused = {key: reason for _, _, some in finished for key, reason in some.items()}
    store.add(keys, np.concatenate(values) if values else None, refused)
    finished.clear()


def _broken(name: str, encoder: Encoder[Any], what: str) -> PluginError:
    kind = type(encoder)
    return PluginError(f"the encoder {kind.__module__}.{kind.__qualname__} {what}", where=f"observe.{name}")


def _kind(value: object) -> str:
    return f"an array of {value.dtype}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
