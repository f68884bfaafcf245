"""The operator's commands, for stacks on AWS and on this machine.

They use the package of the functions' layer, which is not installed. This module puts it on the path, so that
`python -m ops` and `python -m local` work from a checkout.
"""

import sys
from pathlib import Path

_LAYER = str(Path(__file__).resolve().parent.parent / "layers" / "likeness")
if _LAYER not in sys.path:
    sys.path.append(_LAYER)
