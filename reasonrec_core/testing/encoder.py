"""The conformance suite of encoders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reasonrec_core.components import Encoder, ItemInput, Kind
from reasonrec_core.testing.compare import assert_close
from reasonrec_core.testing.component import ComponentConformance, Workplace
from reasonrec_core.testing.tiny import Tiny
from reasonrec_core.types import Task
from reasonrec_core.validation import check_vectors

TASK = Task.SEQUENTIAL
ODD_TEXTS = ("a", "  spaced\n\nout\t", "Ωmega 漢字 🎈 \u200b", "word " * 3000, "\x00\x1b[31m", "<b>&amp;</b>")


class EncoderConformance(ComponentConformance):
    """Subclass it in a plugin's tests and set ``component``."""

    kind = Kind.ENCODER

    def inputs(self, data: Tiny, encoder: Encoder[Any]) -> list[Any]:
        """Eight inputs of an encoder, all different."""
        if encoder.modality in ("text", "image", "item"):
            return self._raw_inputs(data, encoder.modality)
        read = encoder.read(data.dataset.catalog)
        assert len(np.unique(read.keys)) > 8, "an encoder with a modality of its own: give 8 of the items something"
        first = np.sort(np.unique(read.keys, return_index=True)[1])
        return [read.load(int(item)) for item in first if read.keys[item]][:8]

    def _raw_inputs(self, data: Tiny, modality: str) -> list[Any]:
        catalog = data.dataset.catalog
        if modality == "text":
            return [text for text in catalog.texts() if text][:8]
        if modality == "item":
            pictures, texts = self._raw_inputs(data, "image"), self._raw_inputs(data, "text")
            both = [ItemInput(image, text) for image, text in zip(pictures, texts, strict=True)]
            return [*both[:4], *(ItemInput(None, t) for t in texts[4:6]), *(ItemInput(i, None) for i in pictures[6:])]
        assert catalog.images is not None
        return [_opened(catalog.images / path) for path in catalog.image_paths if path][:8]

    def odd_inputs(self, modality: str) -> Sequence[Any]:
        """Inputs that are unusual and allowed; of a modality of the encoder's own those that a subclass gives."""
        if modality == "text":
            return ODD_TEXTS
        if modality == "item":
            both = [ItemInput(image, text) for image, text in zip(self.odd_inputs("image"), ODD_TEXTS, strict=False)]
            return [*both, *(ItemInput(None, text) for text in ODD_TEXTS)]
        if modality != "image":
            return ()
        from PIL import Image

        return [Image.new("RGB", size, (200, 10, 60)) for size in ((1, 1), (1, 300), (300, 2), (700, 500))]

    def test_gives_one_vector_per_input(self, workplace: Workplace) -> None:
        encoder, inputs = self._ready(workplace)
        vectors = check_vectors(encoder.encode(inputs), len(inputs))
        assert vectors.shape[1] > 0
        assert len(np.unique(vectors.round(5), axis=0)) > len(inputs) // 2, "different inputs, the same vector"

    def test_one_input_gets_the_vector_that_it_gets_among_many(self, workplace: Workplace) -> None:
        encoder, inputs = self._ready(workplace)
        many = encoder.encode(inputs)
        for row in (0, len(inputs) - 1):
            np.testing.assert_allclose(encoder.encode(inputs[row : row + 1])[0], many[row], rtol=1e-3, atol=1e-4)
        assert_close(encoder.encode([inputs[0], inputs[0]])[0], encoder.encode([inputs[0], inputs[0]])[1], "twice")

    def test_odd_inputs_are_encoded(self, workplace: Workplace) -> None:
        encoder, inputs = self._ready(workplace)
        odd = self.odd_inputs(encoder.modality) or inputs
        width = encoder.encode(inputs[:1]).shape[1]
        check_vectors(encoder.encode(list(odd)), len(odd), width)

    def test_same_vectors_every_time(self, workplace: Workplace) -> None:
        encoder, inputs = self._ready(workplace)
        assert_close(encoder.encode(inputs), encoder.encode(inputs), "encoded twice")
        again = workplace.fit(workplace.data(TASK).fit)
        assert_close(again.encode(inputs), encoder.encode(inputs), "made and fitted twice")
        assert again.fingerprint() == encoder.fingerprint(), "equal encoders, different fingerprints"

    def test_fingerprint_is_stable(self, workplace: Workplace) -> None:
        encoder, inputs = self._ready(workplace)
        before = encoder.fingerprint()
        encoder.encode(inputs)
        assert isinstance(before, str)
        assert len(before) >= 8
        assert encoder.fingerprint() == before, "encoding changes the fingerprint"

    def test_what_it_learned_is_in_its_fingerprint(self, workplace: Workplace) -> None:
        """Vectors are cached under the fingerprint, so two fits with one fingerprint would share them."""
        encoder, inputs = self._ready(workplace)
        given = workplace.later(TASK).fit
        other = replace(given, train=given.train.take(np.arange(len(given.train)) % 3 > 0), seed=given.seed + 1)
        again = workplace.fit(other)
        if not np.array_equal(again.encode(inputs), encoder.encode(inputs)):
            assert again.fingerprint() != encoder.fingerprint(), "fitted on other data: other vectors, one fingerprint"

    def test_loaded_it_encodes_as_before(self, workplace: Workplace) -> None:
        encoder, inputs = self._ready(workplace)
        loaded = workplace.loaded(TASK)
        assert_close(loaded.encode(inputs), encoder.encode(inputs), "saved and loaded")
        assert loaded.fingerprint() == encoder.fingerprint(), "saved and loaded, another fingerprint"

    def test_items_that_came_after_the_fit_do_not_change_it(self, workplace: Workplace) -> None:
        encoder, inputs = self._ready(workplace)
        later = workplace.loaded_later(TASK)
        assert_close(later.encode(inputs), encoder.encode(inputs), "loaded for a catalogue that has grown")
        assert later.fingerprint() == encoder.fingerprint(), "a catalogue that has grown, another fingerprint"

    def test_changes_nothing_that_it_is_given(self, workplace: Workplace) -> None:
        encoder, inputs = self._ready(workplace)
        before = [_content(value) for value in inputs]
        encoder.encode(inputs)
        assert [_content(value) for value in inputs] == before

    def test_what_it_reads_follows_the_item_wherever_it_stands(self, workplace: Workplace) -> None:
        """For a modality of its own: keys go with what is read, in a part of the catalogue as in the whole."""
        encoder, catalog = workplace.fitted(TASK), workplace.data(TASK).dataset.catalog
        if encoder.modality in ("text", "image", "item"):
            pytest.skip("the core reads this modality")
        whole, end = encoder.read(catalog), encoder.read(catalog.slice(len(catalog) // 2))
        assert whole.keys.dtype.str == "|S32"
        assert np.array_equal(whole.keys[len(catalog) // 2 :], end.keys)
        assert whole.missing
        for item in np.flatnonzero(end.keys != b""):
            assert _content(end.load(int(item))) == _content(whole.load(int(item) + len(catalog) // 2))
            assert end.size(int(item)) >= 0

    def test_says_where_its_weights_came_from(self, workplace: Workplace) -> None:
        encoder, _ = self._ready(workplace)
        found = encoder.provenance()
        assert all(isinstance(key, str) and isinstance(value, str) for key, value in found.items())
        if found:
            assert {"source", "licence"} <= set(found), f"provenance has {sorted(found)}, not source and licence"

    def _ready(self, workplace: Workplace) -> tuple[Encoder[Any], list[Any]]:
        encoder = workplace.fitted(TASK)
        return encoder, self.inputs(workplace.data(TASK), encoder)


def _opened(path: Path) -> Any:
    from PIL import Image

    with Image.open(path) as picture:
        return picture.convert("RGB")


def _content(value: Any) -> object:
    if isinstance(value, ItemInput):
        return tuple(None if each is None else _content(each) for each in value)
    return value if isinstance(value, str | bytes) else (value.size, value.tobytes())
