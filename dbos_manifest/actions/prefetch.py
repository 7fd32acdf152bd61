"""Work on one item in a second thread, while the first prepares the next item."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from queue import SimpleQueue
from typing import Generic, TypeVar

from ..system_db.database import Database

Item = TypeVar("Item")
Result = TypeVar("Result")
SWITCH_S = 0.0005  # a thread that waits for the database needs the interpreter often, and only briefly
GRACE_S = 5.0  # for cancelled work to end


def read_ahead(
    database: Database, work: Callable[[Item], Result], items: Iterable[Item]
) -> AbstractContextManager[Iterator[tuple[Item, Result]]]:
    """Run `work_ahead` for work that reads many rows.

    Where a second thread makes reading slower, all is done in this one.
    """
    if database.reads_in_thread:
        return work_ahead(work, items, database.cancel)
    return nullcontext((item, work(item)) for item in items)


@contextmanager
def work_ahead(
    work: Callable[[Item], Result], items: Iterable[Item], give_up: Callable[[], None]
) -> Iterator[Iterator[tuple[Item, Result]]]:
    """Yield an iterator of each item with its result, in order; one item is worked on at a time.

    An item is begun only after the one before it went well. At the end, however it comes, the item that
    was begun is finished; after KeyboardInterrupt `give_up` is called to cut it short.
    Raises: what `work` raised, when its item's turn comes.
    """
    worker = _Worker(work)
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        yield _pairs(worker, items)
    except KeyboardInterrupt:
        give_up()
        worker.end(GRACE_S)
        raise
    finally:
        worker.end(None)
        sys.setswitchinterval(interval_s)


def _pairs(worker: _Worker[Item, Result], items: Iterable[Item]) -> Iterator[tuple[Item, Result]]:
    begun: list[Item] = []
    for item in items:
        done = [(last, worker.result()) for last in begun]
        worker.begin(item)
        begun = [item]
        yield from done
    for last in begun:
        yield last, worker.result()


class _Worker(Generic[Item, Result]):
    """A daemon thread that takes one item at a time."""

    def __init__(self, work: Callable[[Item], Result]) -> None:
        self._work = work
        self._items: SimpleQueue[list[Item]] = SimpleQueue()  # an empty list ends the thread
        self._results: SimpleQueue[Callable[[], Result]] = SimpleQueue()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="database", daemon=True)
        self._thread.start()

    def begin(self, item: Item) -> None:
        self._items.put([item])

    def result(self) -> Result:
        return self._results.get()()

    def end(self, timeout_s: float | None) -> None:
        if not self._ended:
            self._ended = True
            self._items.put([])
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while items := self._items.get():
            for item in items:
                self._results.put(self._try(item))

    def _try(self, item: Item) -> Callable[[], Result]:
        failure: BaseException
        try:
            result = self._work(item)
            return lambda: result
        except BaseException as error:
            failure = error

        def fail() -> Result:
            raise failure

        return fail
