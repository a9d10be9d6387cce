"""Work on many files in threads: results in order, a bounded number of them in memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from maskmill.system.processes import usable_cores

T = TypeVar("T")
R = TypeVar("R")


def in_order(
    function: Callable[[T], R], items: Iterable[T], *, workers: int | None = None, ahead: int = 4
) -> Iterator[R]:
    """`function` of every item, in their order, computed by threads.

    Threads suffice, since decoders and digests let go of the interpreter. At most `ahead` results
    per worker (default: one worker per core) are made or kept at any time; 1 where they are large.
    The first exception is raised here, and what has not begun by then never begins.
    """
    workers = workers or usable_cores()
    waiting: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="read")
    try:
        for item in items:
            if len(waiting) == workers * ahead:
                yield waiting.popleft().result()
            waiting.append(pool.submit(function, item))
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
