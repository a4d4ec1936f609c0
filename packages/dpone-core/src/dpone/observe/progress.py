"""What a person at a terminal sees while rows move: one line per stream with rows, bytes, rate and phase."""

from __future__ import annotations

from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from dpone import events

if TYPE_CHECKING:
    from rich.console import Console


class ProgressBars:
    """An observer that draws; use it as a context manager."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.fields[stream]}", markup=False),
            TextColumn("[dim]{task.fields[phase]}[/]"),
            BarColumn(bar_width=20),
            TextColumn("{task.completed:>12,.0f} rows"),
            TextColumn("{task.fields[size]:>10}"),
            TextColumn("{task.fields[rate]:>14}"),
            TimeElapsedColumn(),
            console=console,
            transient=False,
        )
        self._tasks: dict[str, TaskID] = {}
        self._nbytes: dict[str, int] = {}
        self._lock = Lock()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, stream: str, event: events.Event) -> None:
        with self._lock:
            task = self._task(stream)
            match event:
                case events.BatchStaged(rows=rows, nbytes=nbytes):
                    self._nbytes[stream] += nbytes
                    self._progress.update(
                        task,
                        advance=rows or 0,
                        size=_size(self._nbytes[stream]),
                        rate=self._rate(task),
                        phase="reading",
                    )
                case events.StageSealed(staged=staged):
                    self._progress.update(
                        task, completed=staged.received, total=staged.received or 1, phase="publishing"
                    )
                case events.Reconciled():
                    self._progress.update(task, phase="reconciled")
                case events.RunFinished(status=status):
                    done = self._progress.tasks[task].completed
                    self._progress.update(
                        task, phase=status, total=done or 1, completed=done or 1, rate=self._rate(task)
                    )
                    if not done:
                        self._progress.update(task, completed=1, total=1)
                case _:
                    pass

    def _task(self, stream: str) -> TaskID:
        if stream not in self._tasks:
            self._nbytes[stream] = 0
            self._tasks[stream] = self._progress.add_task(
                "", total=None, stream=stream, phase="starting", size="", rate=""
            )
        return self._tasks[stream]

    def _rate(self, task: TaskID) -> str:
        state = self._progress.tasks[task]
        return f"{state.completed / state.elapsed:,.0f} rows/s" if state.elapsed else ""


def _size(nbytes: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if nbytes < 1000:  # noqa: PLR2004 -- decimal units
            return f"{nbytes:,.0f} {unit}" if unit == "B" else f"{nbytes:,.1f} {unit}"
        nbytes /= 1000
    return f"{nbytes:,.1f} TB"
