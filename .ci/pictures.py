"""Makes the pictures of README.md, each of what really ran.

`python .ci/pictures.py terminal` runs `make demo` and draws its terminal into docs/pictures/demo.svg;
`python .ci/pictures.py report REPORT.html` has headless Chromium ($CHROMIUM, or Debian's) look at a certification
report and writes docs/pictures/report.png.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs/pictures"
WIDTH = 96
MOST = 200_000  # bytes of a picture
# what is left out of the terminal, which is marked: the later loads, and of the table the streams that resemble others
CUTS = (
    (r"200 orders changed", r"100 orders are sent"),
    (r"│full_refresh ", r"│incremental_merge "),
    (r"│scd2 ", r"│kafka_to_clickhouse "),
    (r"│to_mssql ", r"└─"),
    (r"incremental_merge finds", r"3 cases of the matrix"),
    (r"written: ", r"  they passed"),
)
_CODE = re.compile(r"\x1b\[(\??[0-9;]*)([A-Za-z])|(\n)|(\r)")


def screen(said: str) -> list[str]:
    """The lines that stand on a terminal at the end; what rewrote itself stands there once, in its last state."""
    lines, at = [""], 0
    here = 0
    for found in _CODE.finditer(said):
        lines[at] += said[here : found.start()]
        here = found.end()
        match found.group(2):
            case "m":
                lines[at] += found.group()
            case "A":
                at = max(0, at - int(found.group(1) or 1))
            case "K":
                lines[at] = ""
            case _ if found.group(3):
                at += 1
                lines += [""] * (at == len(lines))
            case _:  # the cursor is hidden or shown; a line that returns is cleared next
                pass
    lines[at] += said[here:]
    return lines


def shown(lines: list[str]) -> list[str]:
    """The lines without what is cut."""
    for begin, end in CUTS:
        plain = [_CODE.sub("", line) for line in lines]
        first = next(n for n, line in enumerate(plain) if re.match(begin, line))
        last = next(n for n, line in enumerate(plain) if n > first and re.match(end, line))
        lines = [*lines[:first], "  ⋮", *lines[last:]]
    return lines


def terminal() -> None:
    """The demo's last screen, without the paths of this machine."""
    environment = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(WIDTH), "TERM": "xterm-256color"}
    command = [sys.executable, "-m", "dpone.testing.demo"]
    done = subprocess.run(  # noqa: S603 - our own program
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, check=True, cwd=ROOT
    )
    draw(done.stdout.decode())  # not as text: every return of a line would become its end


def draw(said: str) -> None:
    """The picture of a terminal on which this was said."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere, force_terminal=True)
        for line in shown(screen(said)):
            console.print(Text.from_ansi(line), soft_wrap=True)
        svg = console.export_svg(title="make demo")
    # rich names a font of somebody's server; the reader's own will do
    keep(FOLDER / "demo.svg", re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL).encode())


def report(html: Path) -> None:
    """What is seen first of the report."""
    names = ("chromium", "chromium-browser", "google-chrome")
    chromium = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if chromium is None:
        sys.exit("there is no Chromium: apt install chromium, or set CHROMIUM")
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "report.png"
        subprocess.run(  # noqa: S603 - the browser, a file of ours
            [
                *(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
                *("--window-size=1040,860", f"--user-data-dir={folder}/profile", f"--screenshot={made}"),
                html.resolve().as_uri(),
            ],
            check=True,
            capture_output=True,
        )
        keep(FOLDER / "report.png", made.read_bytes())


def keep(path: Path, picture: bytes) -> None:
    if len(picture) > MOST:
        sys.exit(f"{path.name} has {len(picture):,} bytes, more than {MOST:,}")
    FOLDER.mkdir(exist_ok=True)
    path.write_bytes(picture)


if __name__ == "__main__":
    if sys.argv[1:2] == ["terminal"]:
        terminal()
    elif sys.argv[1:2] == ["report"]:
        report(Path(sys.argv[2]))
    else:
        sys.exit(__doc__)
