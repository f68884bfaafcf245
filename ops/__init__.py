"""The operator's commands, for stacks on AWS and on this machine.

They use the package of the functions' layer and the Python client, which are not installed. This module puts both on
the path, so that `python -m ops` and `python -m local` work from a checkout.
"""

import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
for _folder in ("layers/likeness", "clients/python"):
    if str(_ROOT / _folder) not in sys.path:
        sys.path.append(str(_ROOT / _folder))
