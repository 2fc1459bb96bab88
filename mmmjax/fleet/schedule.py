"""One queue of batches, many workers, deaths survived.

A worker is whatever fits a batch: a device of this machine, a process on another. Each has
a thread here that gives it the next batch as soon as it is idle. A worker that dies is
replaced and what it had not finished is given to another. A batch that has seen three
deaths is taken apart: its markets are tried one by one, and the one that dies alone with
its worker is the culprit.
"""

import dataclasses
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Protocol

from mmmjax.infer.threads import Stopped

__all__ = ["Lost", "Part", "Unavailable", "Worker", "schedule"]

DEATHS = 3  # of a batch before it is taken apart
MOST = 10  # deaths in a row, at least, without a market that ended: no market's fault


class Lost(Exception):
    """A worker died; the message says how."""


class Unavailable(Exception):
    """A worker cannot be had."""


@dataclasses.dataclass(frozen=True)
class Part:
    """Markets of a bucket that are sampled together.

    Args:
        bucket: Index of the bucket.
        markets: Names; all of them make the batch, also where some have ended.
        deaths: Workers that died of it.
        alone: Whether this is one market of a batch that was taken apart.
    """

    bucket: int
    markets: tuple[str, ...]
    deaths: int = 0
    alone: bool = False


class Worker(Protocol):
    """Fits batches, one at a time."""

    def run(self, part: Part, stop: threading.Event) -> None:
        """Fit what has not ended; raise :class:`Lost` when it died, Stopped if told so."""

    def close(self) -> None:
        """Nothing more is to come."""


type Make = Callable[[threading.Event], Worker]
type Left = Callable[[Part], Sequence[str]]
type Kills = Callable[[str, str], None]


def schedule(
    parts: Iterable[Part], workers: Sequence[Make], left: Left, kills: Kills
) -> None:
    """Fit all parts on all workers.

    Args:
        parts: In the order in which they are given out.
        workers: Each makes a worker, at first and after a death, in a thread of its own;
            it gets the sign to stop.
        left: Markets of a part that have not ended.
        kills: Told of a market that its worker did not survive, and how it died.

    Raises:
        Unavailable: No worker could be had, or they die whatever they are given.
    """
    queue = _Queue(parts, MOST + 3 * len(workers))
    with ThreadPoolExecutor(len(workers)) as threads:
        try:
            busy = [threads.submit(_work, w, queue, left, kills) for w in workers]
            for done in as_completed(busy):
                done.result()
        except BaseException:
            queue.end()
            raise
    if queue.waiting:
        raise queue.refused or Unavailable("no worker")


def _work(make: Make, queue: "_Queue", left: Left, kills: Kills) -> None:
    """What the thread of a worker does until nothing is left."""
    worker: Worker | None = None
    try:
        while (part := queue.take()) is not None:
            before = len(left(part))
            if not before:
                queue.done()
                continue
            try:
                worker = worker or make(queue.stop)
                worker.run(part, queue.stop)
                if left(part):
                    worker.close()
                    raise Lost("its worker came back without a word of it")
            except Lost as error:
                worker, names = None, tuple(left(part))
                queue.count(len(names) < before, str(error))
                _again(part, names, str(error), queue, kills)
            except Unavailable as error:
                queue.give_back(part, error)
                return
            else:
                queue.count(ended=True)
                queue.done()
    except Stopped:
        if not queue.stop.is_set():
            raise
    finally:
        if worker is not None:
            worker.close()


def _again(
    part: Part, names: tuple[str, ...], how: str, queue: "_Queue", kills: Kills
) -> None:
    """Queue what a death left over, or say which market it was."""
    deaths = part.deaths + 1
    if len(names) == 1 and (part.alone or deaths >= DEATHS):
        kills(names[0], how)
        queue.done()
    elif deaths >= DEATHS:
        queue.done(*(Part(part.bucket, (name,), 0, True) for name in names))
    else:
        queue.done(*[dataclasses.replace(part, deaths=deaths)] * bool(names))


class _Queue:
    """Parts that wait; whoever takes one says when it is done.

    Args:
        parts: At first.
        most: Deaths in a row that are borne.
    """

    def __init__(self, parts: Iterable[Part], most: int):
        self.waiting, self.taken = deque(parts), 0
        self.stop, self.turn = threading.Event(), threading.Condition()
        self.refused: Unavailable | None = None
        self.deaths, self.most = 0, most

    def take(self) -> Part | None:
        """The next part; None when nothing can come any more."""
        with self.turn:
            while not self.waiting and self.taken and not self.stop.is_set():
                self.turn.wait()
            if self.stop.is_set() or not self.waiting:
                return None
            self.taken += 1
            return self.waiting.popleft()

    def done(self, *again: Part) -> None:
        """A part is done with; what of it is to be tried again."""
        with self.turn:
            self.taken -= 1
            self.waiting.extend(again)
            self.turn.notify_all()

    def give_back(self, part: Part, why: Unavailable) -> None:
        """A part that nobody tried, first of all again."""
        with self.turn:
            self.taken -= 1
            self.waiting.appendleft(part)
            self.refused = why
            self.turn.notify_all()

    def count(self, ended: bool, how: str = "") -> None:
        """Count deaths in a row; after too many without a market that ended, give up."""
        with self.turn:
            self.deaths = 0 if ended else self.deaths + 1
            if self.deaths > self.most:
                raise Unavailable(f"{self.deaths} workers died in a row, the last: {how}")

    def end(self) -> None:
        """Give nothing out any more."""
        self.stop.set()
        with self.turn:
            self.turn.notify_all()
