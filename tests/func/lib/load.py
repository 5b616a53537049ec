"""Steady traffic from keep-alive clients, each in a thread, with an exact account of what went wrong."""

import threading

from lib.http import Client, HttpError


class Load:
    """Use as a context manager; afterwards read .ok, .failures (texts), .closed (connections the server closed)."""

    def __init__(self, port, clients=12, path="/", status=200):
        self.port, self.path, self.status = port, path, status
        self.ok = 0
        self.attempts = 0
        self.closed = 0
        self.failures = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._client, daemon=True) for _ in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(30.0)
            assert not thread.is_alive(), "a client still waits for an answer"

    def _client(self):
        while not self._stop.is_set():
            try:
                with Client(self.port) as client:
                    self._talk(client)
            except (OSError, HttpError) as error:
                self._note(failure=f"{type(error).__name__}: {error}")

    def _talk(self, client):
        while not self._stop.is_set():
            with self._lock:
                self.attempts += 1
            response = client.get(self.path)
            closing = (response.header("Connection") or "").lower() == "close"
            if response.status != self.status:
                self._note(failure=f"status {response.status}: {response.text:.200}", closed=closing)
            else:
                self._note(ok=True, closed=closing)
            if closing:
                return

    def _note(self, ok=False, failure=None, closed=False):
        with self._lock:
            self.ok += ok
            if failure:
                self.failures.append(failure)
            # A failed exchange ends the connection as well.
            self.closed += closed or (failure is not None and not failure.startswith("status"))
