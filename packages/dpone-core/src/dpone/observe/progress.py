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
            BarColumn(bar_width=10),
            TextColumn("{task.fields[rows]:>12,} rows"),
            TextColumn("{task.fields[size]:>10}"),
            TextColumn("{task.fields[rate]:>14}"),
            TimeElapsedColumn(),
            console=console,
            transient=False,
        )
        self._tasks: dict[str, TaskID] = {}
        self._rows: dict[str, int] = {}
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
                    self._rows[stream] += rows or 0
                    self._nbytes[stream] += nbytes
                    self._show(task, stream, "reading")
                case events.StageSealed(staged=staged):
                    self._rows[stream] = staged.received  # formats that pass undecoded are counted by the sink
                    self._show(task, stream, "publishing")
                case events.Reconciled():
                    self._show(task, stream, "reconciled")
                case events.RunFinished(status=status):
                    self._show(task, stream, status)
                    self._progress.update(task, completed=1, total=1)
                case _:
                    pass

    def _task(self, stream: str) -> TaskID:
        if stream not in self._tasks:
            self._rows[stream] = self._nbytes[stream] = 0
            self._tasks[stream] = self._progress.add_task(
                "", total=None, stream=stream, phase="starting", rows=0, size="", rate=""
            )
        return self._tasks[stream]

    def _show(self, task: TaskID, stream: str, phase: str) -> None:
        elapsed = self._progress.tasks[task].elapsed
        rate = f"{self._rows[stream] / elapsed:,.0f} rows/s" if elapsed and self._rows[stream] else ""
        self._progress.update(task, phase=phase, rows=self._rows[stream], size=_size(self._nbytes[stream]), rate=rate)


def _size(nbytes: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if nbytes < 1000:  # noqa: PLR2004 -- decimal units
            return f"{nbytes:,.0f} {unit}" if unit == "B" else f"{nbytes:,.1f} {unit}"
        nbytes /= 1000
    return f"{nbytes:,.1f} TB"
