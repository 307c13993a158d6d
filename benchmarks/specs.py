"""The spec files that the benchmarks apply."""

from pathlib import Path


def loop(folder: Path, count: int, *, command: str = "[/bin/true]", queue: str = "q",
         start: int = 0, name: str = "tasks.yml") -> Path:
    """One file with `count` tasks of one command, made by a loop; queue "" for common tasks."""
    lines = ["id: t{{ item }}", f"command: {command}",
             f'loop: "{{{{ range({start}, {start + count}) | list }}}}"']
    if queue:
        lines.append(f"queue: {queue}")
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path
