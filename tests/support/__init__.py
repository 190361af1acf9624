"""What tests share: helpers are here and nowhere else, each in the module of its concept; and where the checkout has what."""

from __future__ import annotations

from pathlib import Path
from typing import Final

#: The checkout: programs that use the helpers run with it as their folder, or have it on their path.
ROOT: Final = Path(__file__).parent.parent.parent
DATA: Final = ROOT / "tests" / "data"
#: Seconds after which a test gives up what it waits for.
PATIENCE: Final = 10.0
