"""When to ask crun again whether an asset has become Active. Pure: ages in seconds in, seconds out."""

from __future__ import annotations

from dataclasses import dataclass

#: Past this age the pause grows with the age: who waited ten minutes can wait another minute. It keeps a day of
#: waiting for one stuck asset at about 62 rounds, where a fixed 30 s would take 2,880.
_PATIENT_AFTER = 8.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """The template's Poll… parameters, in seconds."""

    first_delay: float = 3
    backoff_rate: float = 1.5
    max_delay: float = 30
    deadline: float = 86_400

    def next_delay(self, age: float, *, retry_after: float = 0) -> int:
        """Whole seconds until the next round, for the youngest pending asset's ``age`` since its submission.

        First ``first_delay``, then a pause in proportion to the age (which is what multiplying each pause by
        ``backoff_rate`` comes to), capped by ``max_delay`` or an eighth of the age, whichever is more.
        At least 1: a Wait of 0 would spin.
        """
        grown = self.first_delay + max(0.0, age) * (self.backoff_rate - 1)
        ceiling = max(self.max_delay, age / _PATIENT_AFTER)
        return max(1, round(max(min(grown, ceiling), retry_after)))

    def expired(self, age: float) -> bool:
        """Whether an asset of this age has waited long enough to be failed as ``activation_timeout``."""
        return age >= self.deadline
