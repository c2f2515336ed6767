"""Where a test keeps the shared session."""

from __future__ import annotations

import threading
from pathlib import Path


class MemoryStore:
    """For the threads of one process. Remembers all that was ever written to it."""

    def __init__(self) -> None:
        self.text: str | None = None
        self.written: list[str] = []
        self._lock = threading.Lock()

    def read(self) -> str | None:
        with self._lock:
            return self.text

    def write(self, text: str) -> None:
        with self._lock:
            self.text = text
            self.written.append(text)

    def delete(self) -> None:
        with self._lock:
            self.text = None


class FileStore:
    """For many processes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> str | None:
        try:
            return self._path.read_text() or None
        except FileNotFoundError:
            return None

    def write(self, text: str) -> None:
        unfinished = self._path.with_suffix(f".{threading.get_native_id()}")
        unfinished.write_text(text)
        unfinished.replace(self._path)

    def delete(self) -> None:
        self._path.unlink(missing_ok=True)
