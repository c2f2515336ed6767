"""A StatsD that only listens."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

PREFIX = "airflow.credential_rotation."


class StatsdListener:
    """Keeps what is told of credential rotation, by its name; of the many other metrics of an Airflow nothing."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._heard: dict[str, str] = {}
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    @property
    def environment(self) -> dict[str, str]:
        """What lets an Airflow send its metrics here."""
        return {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(self.port),
        }

    def heard(self) -> dict[str, str]:
        """The latest value of each metric, with its kind: ``3|g``. What was sent before this call is among it."""
        self._until_drained()
        return {name: value for name, value in self._heard.items() if name}

    def forget(self) -> None:
        """Forget what was heard."""
        self._until_drained()
        self._heard.clear()

    def close(self) -> None:
        """Stop listening."""
        self._send(b"")
        self._thread.join()
        self._socket.close()

    def _until_drained(self) -> None:
        # Packets to one socket of the loopback come in the order in which they were sent.
        mark = f"{PREFIX}:{time.monotonic_ns()}"
        self._send(mark.encode())
        self._wait_for(lambda: self._heard.get("") == mark.partition(":")[2])

    def _wait_for(self, is_there: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10
        while not is_there():
            assert time.monotonic() < deadline, "nobody listens"
            time.sleep(0.001)

    def _send(self, packet: bytes) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(packet, ("127.0.0.1", self.port))

    def _listen(self) -> None:
        while packet := self._socket.recv(65536):
            for line in packet.decode().splitlines():
                name, _, value = line.partition(":")
                if name.startswith(PREFIX):
                    self._heard[name.removeprefix(PREFIX)] = value
