"""A schedule without an end: each new period is asked first and learned then, so that the last one is learned too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from recretrain.data.schedule import Block, Task, before, check_choosing, with_rows
from recretrain.data.stream import OnRead, Past, Stream
from recretrain.errors import DataError
from recretrain.values import AtLeast0, AtLeast1


class Rolling:
    """Ask period t, then learn it. The first task learns the warm-up, all periods before `start`, and asks nothing.

    Figures are those of `NextPeriod` from the same warm-up, which asks period t after period t - 1 is learned; but
    nothing is left unlearned, and a stream that has grown by a period brings one task.
    """

    def __init__(self, *, start: AtLeast1, choosing: AtLeast0) -> None:
        """`choosing`: how many of the first asked periods only choose hyper-parameters."""
        self.start = start
        self.choosing = choosing

    def tasks(self, stream: Stream, on_read: OnRead) -> Sequence[Callable[[], Task]]:
        if self.start > len(stream):
            raise DataError(
                f"schedule.start={self.start} but {stream.name} has {len(stream)} periods; lower schedule.start or cut "
                "the data into more periods"
            )
        check_choosing(stream, self.choosing, "start", self.start)
        later = [self._maker(stream, on_read, period) for period in range(self.start, len(stream))]
        return [lambda: Task(0, Block(stream, self.start, on_read), Past([]), dict), *later]

    def roles(self, stream: Stream) -> Mapping[str, Sequence[int]]:
        asked = range(self.start, len(stream))
        return {
            "choosing": with_rows(stream, asked[: self.choosing]),
            "test": with_rows(stream, asked[self.choosing :]),
        }

    def _maker(self, stream: Stream, on_read: OnRead, period: int) -> Callable[[], Task]:
        role = "choosing" if period < self.start + self.choosing else "test"

        def make() -> Task:
            return Task(
                period - self.start + 1,
                stream[period].watched(on_read),
                before(stream, period, on_read),
                dict,
                first=lambda: {} if stream.is_empty(period) else {role: stream.questions(period)},
            )

        return make
