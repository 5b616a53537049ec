"""A small HTTP/2 client on python3-h2 that says what it is told to say, valid or not."""

import socket

import h2.config
import h2.connection
import h2.events
import h2.settings

from lib.net import connect
from lib.wait import Deadline


class Stream:
    def __init__(self):
        self.headers, self.interim, self.data, self.trailers = None, [], b"", None
        self.ended, self.reset = False, None

    @property
    def status(self):
        return int(dict(self.headers)[":status"])

    def header(self, name, default=None):
        return dict(self.headers).get(name, default)


class Client:
    """where: as lib.net.connect, or a connected socket. auto_window: what is read is given back to the server at once."""

    def __init__(self, where, timeout=10.0, auto_window=True, window=None):
        self.sock = where if isinstance(where, socket.socket) else connect(where, timeout)
        self.sock.settimeout(timeout)
        self.timeout, self.auto_window = timeout, auto_window
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(
            client_side=True, header_encoding="utf-8", validate_outbound_headers=False, normalize_outbound_headers=False,
            validate_inbound_headers=True))
        self.h2.local_settings = h2.settings.Settings(client=True, initial_values={
            h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window or 65535, h2.settings.SettingCodes.ENABLE_PUSH: 0})
        self.h2.initiate_connection()
        self.streams, self.goaway, self.closed, self.pings = {}, None, False, 0
        self.settings, self.rest = {}, b""
        self.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            self.sock.sendall(data)

    def start(self, method="GET", path="/", headers=(), end=True, authority="test.local", pseudo=None):
        """Opens a stream; returns its number."""
        number = self.h2.get_next_available_stream_id()
        first = pseudo if pseudo is not None else [(":method", method), (":scheme", "http"), (":path", path),
                                                   (":authority", authority)]
        self.streams[number] = Stream()
        self.h2.send_headers(number, list(first) + list(headers), end_stream=end)
        self.flush()
        return number

    def send(self, number, data, end=False):
        """All of it, as the windows allow."""
        while True:
            room = min(self.h2.local_flow_control_window(number), self.h2.max_outbound_frame_size, len(data))
            if room or not data:
                self.h2.send_data(number, data[:room], end_stream=end and room == len(data))
                self.flush()
                data = data[room:]
                if not data:
                    return
            else:
                self.step(Deadline(self.timeout))

    def step(self, deadline):
        """Reads once. Frame by frame: behind a GOAWAY in the same piece come others, of streams that go on."""
        self.sock.settimeout(max(deadline.left, 0.001))
        try:
            data = self.sock.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            self.closed = True
            return
        self.rest += data
        while len(self.rest) >= 9 and len(self.rest) >= (size := 9 + int.from_bytes(self.rest[:3], "big")):
            frame, self.rest = self.rest[:size], self.rest[size:]
            for event in self.h2.receive_data(frame):
                self.note(event)
        self.flush()

    def note(self, event):
        stream = self.streams.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.ResponseReceived):
            stream.headers = event.headers
        elif isinstance(event, h2.events.InformationalResponseReceived):
            stream.interim.append(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            stream.data += event.data
            if self.auto_window and event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.TrailersReceived):
            stream.trailers = event.headers
        elif isinstance(event, h2.events.StreamEnded):
            stream.ended = True
        elif isinstance(event, h2.events.StreamReset):
            stream.reset = event.error_code
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.goaway = event
            self.h2.state_machine.state = h2.connection.ConnectionState.CLIENT_OPEN  # what was begun goes on
        elif isinstance(event, h2.events.PingAckReceived):
            self.pings += 1
        elif isinstance(event, h2.events.RemoteSettingsChanged):
            self.settings.update({k: v.new_value for k, v in event.changed_settings.items()})

    def until(self, condition, seconds=10.0):
        deadline = Deadline(seconds)
        while not condition():
            assert deadline.left > 0 and not self.closed, "the connection ended" if self.closed else "not in time"
            self.step(deadline)

    def finish(self, *numbers, seconds=10.0):
        """Until these streams are over; returns the last one."""
        self.until(lambda: all(self.streams[n].ended or self.streams[n].reset is not None for n in numbers), seconds)
        return self.streams[numbers[-1]]

    def request(self, method="GET", path="/", headers=(), body=None, **options):
        number = self.start(method, path, headers, end=body is None, **options)
        if body is not None:
            self.send(number, body, end=True)
        return self.finish(number)
