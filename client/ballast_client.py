"""Balancing without a hop, from Python: libballast-client through ctypes. The standard library is all it needs.

    import ballast_client

    client = ballast_client.Client("/etc/ballast/ballast.conf", fallback="127.0.0.1:8080")
    with client.request("app", key="/index.html") as pick:       # reports success, or a failure when an exception leaves it
        connection = http.client.HTTPConnection(*pick.address)
        ...

What a pick means, and what it cannot do, is in ballast_client.h and docs/client.md. A client may be shared by threads,
and works in a child after os.fork(). The library is looked for as libballast-client.so.0; $BALLAST_CLIENT_LIBRARY
names another file.
"""

import ctypes
import os
import socket
import time
from contextlib import contextmanager

__all__ = ["Client", "Pick", "Error", "OK", "FALLBACK", "NONE", "FULL", "NO_POOL", "SUCCESS", "FAILURE", "ABANDONED"]

OK, FALLBACK, NONE, FULL, NO_POOL = range(5)
SUCCESS, FAILURE, ABANDONED = range(3)
_NOBODY = 0xFFFFFFFF


class Error(Exception):
    """No instance is followed, or nobody can be asked."""


class _Options(ctypes.Structure):
    _fields_ = [("size_bytes", ctypes.c_size_t), ("fallback", ctypes.c_char_p), ("stale_ms", ctypes.c_uint32),
                ("max_fails", ctypes.c_uint32), ("fail_timeout_ms", ctypes.c_uint32), ("owner", ctypes.c_uint32),
                ("may_be_absent", ctypes.c_ubyte), ("keep_when_stale", ctypes.c_ubyte), ("uncounted", ctypes.c_ubyte)]


class _Private(ctypes.Structure):
    _fields_ = [("key", ctypes.c_uint64), ("epoch", ctypes.c_uint32), ("pool", ctypes.c_uint32),
                ("is_out", ctypes.c_uint32), ("tried_count", ctypes.c_uint32), ("tried", ctypes.c_uint32 * 16),
                ("lease", ctypes.c_uint32), ("ticket", ctypes.c_uint32)]


class _Storage(ctypes.Union):
    _fields_ = [("bytes", ctypes.c_ubyte * 128), ("align", ctypes.c_ulong)]


class _Pick(ctypes.Structure):
    _fields_ = [("address", _Storage), ("address_len", ctypes.c_uint32), ("backend", ctypes.c_char * 64),
                ("endpoint", ctypes.c_char * 128), ("slot", ctypes.c_uint32), ("generation", ctypes.c_uint32),
                ("stale", ctypes.c_ubyte), ("private_", _Private)]


def _load():
    library = ctypes.CDLL(os.environ.get("BALLAST_CLIENT_LIBRARY", "libballast-client.so.0"), use_errno=False)
    pointer, text, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t
    library.ballast_client_open.argtypes = [text, ctypes.POINTER(_Options), text, size]
    library.ballast_client_open.restype = pointer
    library.ballast_client_close.argtypes = [pointer]
    library.ballast_client_close.restype = None
    library.ballast_pick.argtypes = [pointer, text, text, size, ctypes.POINTER(_Pick)]
    library.ballast_pick_other.argtypes = [pointer, ctypes.POINTER(_Pick)]
    library.ballast_report.argtypes = [pointer, ctypes.POINTER(_Pick), ctypes.c_int, ctypes.c_uint64]
    library.ballast_report.restype = None
    library.ballast_client_is_fresh.argtypes = [pointer, text, size]
    library.ballast_result_name.argtypes = [ctypes.c_int]
    library.ballast_result_name.restype = text
    return library


def _address(pick):
    """(family, address) as the socket module wants them; (None, None) when there is none."""
    raw = bytes(pick.address.bytes)[:pick.address_len]
    if not raw:
        return None, None
    family = int.from_bytes(raw[:2], "little" if os.sys.byteorder == "little" else "big")
    port = int.from_bytes(raw[2:4], "big")
    if family == socket.AF_INET:
        return family, (socket.inet_ntop(family, raw[4:8]), port)
    if family == socket.AF_INET6:
        return family, (socket.inet_ntop(family, raw[8:24]), port)
    return family, os.fsdecode(raw[2:].split(b"\0", 1)[0])


class Pick:
    """One choice.

    result: OK, FALLBACK, NONE, FULL or NO_POOL. family, address: for socket.socket(family).connect(address); of the
    backend if result is OK, else of the fallback, None if there is none. backend: its name, "" if there is none.
    """

    def __init__(self, client, raw, result):
        self._client, self._raw = client, raw
        self._set(result)

    def _set(self, result):
        self.result = result
        self.family, self.address = _address(self._raw)
        self.backend = os.fsdecode(self._raw.backend)
        self.endpoint = os.fsdecode(self._raw.endpoint)
        self.slot = None if self._raw.slot == _NOBODY else self._raw.slot
        self.generation = self._raw.generation
        self.stale = bool(self._raw.stale)

    def report(self, outcome, seconds=0.0):
        """The request is over: SUCCESS (and how long the backend took), FAILURE or ABANDONED. Only the first report counts."""
        self._client._library.ballast_report(self._client._open(), self._raw, outcome, max(0, int(seconds * 1e6)))

    def other(self):
        """Turns this into another backend for the same request, none of those it has had."""
        self._set(self._client._library.ballast_pick_other(self._client._open(), self._raw))
        return self

    def __repr__(self):
        return f"<Pick {self._client.result_name(self.result)} {self.backend or '-'} {self.address}>"


class Client:
    """Follows the table of one instance: by its configuration file, "pid:N", or None for the newest on this host.

    fallback: the listener's address, "10.0.0.1:80" or "unix:/path". stale, fail_timeout: seconds. owner: a uid whose
    tables are believed, besides root's and this process's. The rest is as in ballast_client.h. Raises Error.
    """

    def __init__(self, instance=None, *, fallback=None, stale=0, max_fails=0, fail_timeout=0, owner=None,
                 may_be_absent=False, keep_when_stale=False, uncounted=False):
        self._handle = None
        self._library = _load()
        options = _Options(ctypes.sizeof(_Options), fallback.encode() if fallback else None, int(stale * 1000), max_fails,
                           int(fail_timeout * 1000), _NOBODY if owner is None else owner, may_be_absent, keep_when_stale, uncounted)
        why = ctypes.create_string_buffer(512)
        self._handle = self._library.ballast_client_open(os.fsencode(instance) if instance else None, options, why, len(why))
        if not self._handle:
            raise Error(why.value.decode(errors="replace"))

    def _open(self):
        if not self._handle:
            raise Error("the client is closed")
        return self._handle

    def pick(self, pool, key=None):
        """A Pick for one request. key: str or bytes, what the pool's hash algorithm goes by."""
        if isinstance(key, str):
            key = key.encode()
        raw = _Pick()
        return Pick(self, raw, self._library.ballast_pick(self._open(), pool.encode(), key, len(key or b""), raw))

    @contextmanager
    def request(self, pool, key=None):
        """A pick that is reported when the block ends. Raises Error when there is nobody to ask, not even a fallback."""
        pick = self.pick(pool, key)
        if pick.address is None:
            raise Error(f"pool {pool}: {self.result_name(pick.result)}")
        start = time.monotonic()
        try:
            yield pick
        except Exception:
            pick.report(FAILURE)
            raise
        except BaseException:  # interrupted: says nothing of the backend
            pick.report(ABANDONED)
            raise
        pick.report(SUCCESS, time.monotonic() - start)

    def why_stale(self):
        """None while the instance is followed and lives, else why not."""
        why = ctypes.create_string_buffer(512)
        fresh = self._library.ballast_client_is_fresh(self._open(), why, len(why))
        return None if fresh else why.value.decode(errors="replace")

    def result_name(self, result):
        return self._library.ballast_result_name(result).decode()

    def close(self):
        handle, self._handle = self._handle, None
        if handle:
            self._library.ballast_client_close(handle)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def __del__(self):
        self.close()
