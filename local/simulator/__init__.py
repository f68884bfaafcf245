"""A crun.ai simulator: its calls, the H5 page, real downloads, rendered films, and faults on request.

```python
with Simulator(api_key="k") as crun:
    crun.add_faults(FaultRule(call="upload", kind="both", code=429, times=2))
    requests.get(f"{crun.url}/api/v1/client/account/balance", headers={"x-api-key": "k"}, timeout=5)
```
"""

from local.simulator.faults import FaultRule
from local.simulator.server import Simulator
from local.simulator.settings import AssetOutcome, SimulatorSettings, TaskOutcome
from local.simulator.state import hash_token

__all__ = ["AssetOutcome", "FaultRule", "Simulator", "SimulatorSettings", "TaskOutcome", "hash_token"]
