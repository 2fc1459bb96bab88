"""The scheduler: every market ends once, whoever dies, and nothing waits for ever."""

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmmjax.fleet.schedule import DEATHS, MOST, Lost, Part, Unavailable, schedule
from mmmjax.infer.threads import Stopped


class Shop:
    """Fake workers that end markets in a common record; some markets kill."""

    def __init__(self, killers=(), unlucky=0, at=0):
        self.ended, self.killed, self.fitted = {}, {}, []
        self.killers, self.unlucky, self.at = set(killers), unlucky, at
        self.made, self.closed, self.turn = 0, 0, threading.Lock()

    def make(self, stop):
        with self.turn:
            self.made += 1
        return self

    def run(self, part, stop):
        for name in self.left(part):
            with self.turn:
                dies = self.unlucky > 0 and len(self.ended) >= self.at
                self.unlucky -= dies
            if dies or name in self.killers:
                raise Lost(f"died of {name}")
            with self.turn:
                self.fitted.append(name)
                self.ended[name] = part

    def left(self, part):
        known = self.ended.keys() | self.killed.keys()
        return [name for name in part.markets if name not in known]

    def kills(self, name, how):
        self.killed[name] = how

    def close(self):
        with self.turn:
            self.closed += 1


def parts_of(count, size):
    names = [f"m{i}" for i in range(count)]
    return [Part(0, tuple(names[i : i + size])) for i in range(0, count, size)]


@given(
    st.integers(1, 40), st.integers(1, 8), st.integers(1, 5), st.integers(0, 9),
    st.integers(0, 20),
)  # fmt: skip
def test_deaths_by_chance_lose_and_repeat_nothing(count, size, workers, unlucky, at):
    shop = Shop(unlucky=unlucky, at=at)
    parts = parts_of(count, size)
    schedule(parts, [shop.make] * workers, shop.left, shop.kills)
    assert not shop.ended.keys() & shop.killed.keys()
    assert len(shop.fitted) == len(set(shop.fitted))
    assert shop.ended.keys() | shop.killed.keys() == {n for p in parts for n in p.markets}
    assert len(shop.killed) <= unlucky


def test_the_market_that_kills_is_found_and_touches_no_other():
    shop = Shop(killers=["m5", "m13"])
    schedule(parts_of(20, 8), [shop.make] * 3, shop.left, shop.kills)
    assert shop.killed == {"m5": "died of m5", "m13": "died of m13"}
    assert sorted(shop.fitted) == sorted({f"m{i}" for i in range(20)} - {"m5", "m13"})
    assert shop.made >= 2 * (DEATHS + 1)  # each killed a batch thrice and once alone
    single = Shop(killers=["m0"])
    schedule(parts_of(1, 1), [single.make], single.left, single.kills)
    assert single.killed.keys() == {"m0"}
    assert single.made == DEATHS


def test_a_market_that_is_never_told_of_is_not_forgotten():
    class Forgetful(Shop):
        def run(self, part, stop):
            super().run(Part(0, tuple(n for n in part.markets if n != "m3")), stop)

    shop = Forgetful()
    schedule(parts_of(6, 2), [shop.make] * 2, shop.left, shop.kills)
    assert len(shop.fitted) == 5
    assert "without a word" in shop.killed["m3"]


def test_workers_that_die_of_everything_do_not_call_all_markets_failed():
    shop = Shop(unlucky=10**6)
    with pytest.raises(Unavailable, match="died in a row"):
        schedule(parts_of(400, 8), [shop.make] * 2, shop.left, shop.kills)
    assert shop.made <= MOST + 3 * 2 + 3
    assert len(shop.killed) < 20


def test_what_has_ended_is_not_given_out_and_needs_no_worker():
    shop = Shop()
    shop.ended = {f"m{i}": None for i in range(6)}
    schedule(parts_of(6, 2), [shop.make] * 2, shop.left, shop.kills)
    assert not shop.made
    schedule([], [shop.make], shop.left, shop.kills)


def test_an_idle_worker_takes_what_a_slow_one_has_not_begun():
    shop, order = Shop(), {"slow": [], "quick": []}
    first = threading.Event()

    class Named:
        def __init__(self, name):
            self.name = name

        def run(self, part, stop):
            if self.name == "slow":
                order["slow"] += part.markets
                first.wait(10)
            else:
                while not order["slow"]:
                    time.sleep(0.001)
                order["quick"] += part.markets
                if len(order["quick"]) == 9:
                    first.set()
            shop.run(part, stop)

        def close(self):
            pass

    makes = [lambda _: Named("slow"), lambda _: Named("quick")]
    schedule(parts_of(10, 1), makes, shop.left, shop.kills)
    assert len(order["slow"]) == 1
    assert len(shop.fitted) == 10


def test_a_worker_that_cannot_be_had_leaves_its_part_to_the_others():
    shop = Shop()

    def never(stop):
        raise Unavailable("no place")

    schedule(parts_of(6, 2), [never, shop.make, never], shop.left, shop.kills)
    assert len(shop.fitted) == 6
    with pytest.raises(Unavailable, match="no place"):
        schedule(parts_of(6, 2), [never, never], lambda part: part.markets, shop.kills)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_error_or_a_stop_ends_all_soon(error):
    """The others are told to stop, and stopping them is no error of its own."""
    shop, waiting = Shop(), threading.Barrier(3)

    class Waiting(Shop):
        def run(self, part, stop):
            waiting.wait(5)
            if part.markets == ("m0",):
                raise error("disk full")
            if not stop.wait(5):
                raise TimeoutError
            raise Stopped

    shop = Waiting()
    began = time.monotonic()
    with pytest.raises(error):
        schedule(parts_of(9, 1), [shop.make] * 3, shop.left, shop.kills)
    assert time.monotonic() - began < 3
    assert shop.closed == 3
    assert not shop.ended
