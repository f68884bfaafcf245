"""When crun is asked again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from likeness.domain.polling import Schedule


def test_a_day_of_waiting_takes_few_rounds() -> None:
    schedule, age, rounds = Schedule(), 0.0, 0
    while not schedule.expired(age):
        age += schedule.next_delay(age)
        rounds += 1
    assert rounds < 66, "9 history events each: under 600"


def test_the_first_pauses() -> None:
    schedule, age, pauses = Schedule(), 0.0, []
    for _ in range(6):
        pauses.append(schedule.next_delay(age))
        age += pauses[-1]
    assert pauses[0] == 3
    assert pauses == sorted(pauses)
    assert max(pauses) <= 30


@given(st.floats(0, 600), st.floats(1, 10), st.floats(1, 3600), st.floats(-1000, 1e6), st.integers(0, 3600))
def test_every_pause_is_bounded_and_honours_retry_after(
    first: float, rate: float, most: float, age: float, retry_after: int
) -> None:
    delay = Schedule(first, rate, most).next_delay(age, retry_after=retry_after)
    assert max(1, retry_after) <= delay <= max(1, most, age / 8, retry_after) + 1
