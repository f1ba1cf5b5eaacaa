"""Makes the toy parts an installed plugin, for this process and for those that it starts."""

from __future__ import annotations

import os
import sys
from pathlib import Path

TOYS = str(Path(__file__).parent / "toys")

sys.path.append(TOYS)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH", ""), TOYS]))
