"""Tools for the operator, for AWS and for the stack on one machine alike.

They share the package of the functions' layer, which no installation puts on the path: `python -m ops` and
`python -m local` work from a checkout as they are.
"""

import sys
from pathlib import Path

_LAYER = str(Path(__file__).resolve().parent.parent / "layers" / "likeness")
if _LAYER not in sys.path:
    sys.path.append(_LAYER)
