"""Long work beside the window: one worker thread a job, steps delivered on the main thread."""

from __future__ import annotations

import atexit
import sys
import time
from collections.abc import Callable, Generator
from functools import cache
from threading import Event
from typing import Any

from napari_maskvit.errors import MaskvitError
from napari_maskvit.viewer.work.torch_import import import_torch

EXIT_MS = 60_000

SWITCH_S = 0.0005
"""How long a worker may keep the interpreter from the window. Drawing a frame asks for it at each
of a hundred calls of OpenGL, and would wait ten times as long for each by Python's own setting."""

Body = Callable[["Job"], Generator[Any, None, Any]]


class UnexpectedError(Exception):
    """An error that is not the person's: napari's workers lose a bare RuntimeError."""


class Job:
    """A generator that runs in a worker thread.

    Cancelling answers at once: from then on no callback but ``on_end`` is called, which happens
    within `cancel` itself, while the thread finishes its current step and closes the generator.

    Parameters
    ----------
    words
        What is going on, for people: "Finding tissue". Empty for what nobody needs to know.
    body
        Called with this job in the worker thread; yields steps and returns the result.
    on_step, on_done, on_failed, on_end
        Called on the main thread. ``on_end`` comes last, exactly once, whatever happened.
    """

    def __init__(
        self,
        words: str,
        body: Body,
        *,
        on_step: Callable[[Any], None] | None = None,
        on_done: Callable[[Any], None] | None = None,
        on_failed: Callable[[Exception], None] | None = None,
        on_end: Callable[[Job], None] | None = None,
    ) -> None:
        self.words = words
        self.cancelled = False
        self.ended = False
        self._body = body
        self._on_step, self._on_done = on_step, on_done
        self._on_failed, self._on_end = on_failed, on_end
        self._worker: Any = None
        self._news = Event()
        self._outcome: tuple[bool, Any] | None = None

    def start(self) -> None:
        """Start in a thread of Qt's pool."""
        # napari's own create_worker lists every worker for good, with all that it holds.
        from superqt.utils import create_worker

        _prepare_process()
        self._worker = create_worker(self._work, _start_thread=False, _ignore_errors=True)
        self._worker.yielded.connect(self._step)
        self._worker.returned.connect(self._returned)
        self._worker.errored.connect(self._failed)
        self._worker.finished.connect(self._end)
        self._worker.start()

    def takes_longer(self) -> None:
        """Say, in the worker, that nobody need wait for the end."""
        self._news.set()

    def wait(self, seconds: float) -> None:
        """Wait on the main thread for the end, unless it takes longer, and hand the outcome over.

        For what may be done in less time than the window needs for a frame: it would draw twice.
        """
        self._news.wait(seconds)
        if self._outcome is not None and not self.ended:
            self._returned(self._outcome)
            self._end()

    def cancel(self) -> None:
        """Stop; nothing of this job is heard any more."""
        if self.ended:
            return
        self.cancelled = True
        self._news.set()
        if self._worker is not None:
            self._worker.quit()
        self._end()

    def _work(self) -> Generator[Any, None, tuple[bool, Any]]:
        self._outcome = yield from self._guarded()
        self._news.set()
        return self._outcome

    def _guarded(self) -> Generator[Any, None, tuple[bool, Any]]:
        # A quit worker drops its generator without closing it, and swallows every RuntimeError
        # (torch's errors are such): so the outcome, good or bad, is an ordinary return value.
        body = self._body(self)
        try:
            while not self.cancelled:
                try:
                    step = next(body)
                except StopIteration as end:
                    return True, end.value
                if self.cancelled:
                    break
                yield step
        except MaskvitError as error:
            return False, error
        except Exception as error:
            failed = UnexpectedError(f"{type(error).__name__}: {error}")
            failed.__cause__ = error
            return False, failed
        finally:
            body.close()
        return True, None

    def _step(self, step: Any) -> None:
        self._hand_over(self._on_step, step)

    def _returned(self, outcome: tuple[bool, Any]) -> None:
        good, value = outcome
        if good:
            self._hand_over(self._on_done, value)
        else:
            self._failed(value)

    def _hand_over(self, callback: Callable[[Any], None] | None, value: Any) -> None:
        # An exception in a slot would end the process.
        if self.ended or callback is None:
            return
        try:
            callback(value)
        except Exception as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        if not self.ended and self._on_failed is not None:
            self._on_failed(error)

    def _end(self) -> None:
        if not self.ended:
            self.ended = True
            if self._on_end is not None:
                self._on_end(self)


@cache
def _prepare_process() -> None:
    """Let the window come first, and worker threads end before the interpreter does."""
    sys.setswitchinterval(min(SWITCH_S, sys.getswitchinterval()))

    def wait() -> None:
        # A thread that outlives the interpreter aborts the process.
        from qtpy.QtCore import QThreadPool

        pool = QThreadPool.globalInstance()
        if pool is not None:
            pool.waitForDone(EXIT_MS)

    # Handlers run last in, first out: this one before Qt's own, which was there earlier.
    atexit.register(wait)


class Jobs:
    """The jobs of one session, at most one a channel: a newer one replaces the older.

    Parameters
    ----------
    on_change
        Called with the words of the latest job still running, or None.
    on_failed
        Called with every error that a job did not handle itself.
    """

    def __init__(
        self, on_change: Callable[[str | None], None], on_failed: Callable[[Exception], None]
    ) -> None:
        self._running: dict[str, Job] = {}
        self._on_change, self._on_failed = on_change, on_failed
        self._closed = False

    def start(
        self,
        channel: str,
        words: str,
        body: Body,
        *,
        on_step: Callable[[Any], None] | None = None,
        on_done: Callable[[Any], None] | None = None,
    ) -> Job | None:
        """Run a generator in a thread, in place of what the channel was doing."""
        if self._closed:
            return None
        self.cancel(channel)
        job = Job(
            words,
            body,
            on_step=on_step,
            on_done=on_done,
            on_failed=self._on_failed,
            on_end=lambda job: self._forget(channel, job),
        )
        self._running[channel] = job
        job.start()
        self._on_change(self.words)
        return job

    def cancel(self, channel: str) -> bool:
        """Stop what a channel is doing; whether there was anything."""
        job = self._running.get(channel)
        if job is not None:
            job.cancel()
        return job is not None

    def is_running(self, channel: str) -> bool:
        """Whether the channel is at work."""
        return channel in self._running

    @property
    def is_idle(self) -> bool:
        """Whether nothing is at work, in words or silently."""
        return not self._running

    @property
    def words(self) -> str | None:
        """What the latest job is doing; None at rest."""
        return next((job.words for job in reversed(self._running.values()) if job.words), None)

    def close(self) -> None:
        """Stop everything, for good."""
        self._closed = True
        for channel in list(self._running):
            self.cancel(channel)

    def _forget(self, channel: str, job: Job) -> None:
        if self._running.get(channel) is job:
            del self._running[channel]
            if not self._closed:
                self._on_change(self.words)


def once(work: Callable[[], Any], *, torch: bool = False) -> Body:
    """A body without steps, from a plain function; ``torch`` tells that it will be imported."""

    def body(job: Job) -> Generator[Any, None, Any]:
        yield None
        if job.cancelled:
            return None
        if torch:
            import_torch()
        return work()

    return body


def paced(job: Job, steps: Generator[Any, None, Any], seconds: float) -> Generator[Any, None, Any]:
    """Work within a job: its steps, at most one in ``seconds``; None once the job is cancelled.

    The work is closed in any case.
    """
    told = 0.0
    try:
        while not job.cancelled:
            try:
                step = next(steps)
            except StopIteration as end:
                return end.value
            if time.perf_counter() >= told:
                yield step
                told = time.perf_counter() + seconds
    finally:
        steps.close()
    return None
