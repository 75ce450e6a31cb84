"""HTTP/2 by hand (RFC 9113): frames exactly as given, and what comes back."""

import socket
import ssl
import time

from hpack import Decoder, Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from web import Answer

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
PROTOCOL, FLOW_CONTROL, FRAME_SIZE, REFUSED, CANCEL, COMPRESSION, CALM = 0x1, 0x3, 0x6, 0x7, 0x8, 0x9, 0xB
MAX_STREAMS, WINDOW, MAX_FRAME, MAX_HEADERS, CONNECT_PROTOCOL = 0x3, 0x4, 0x5, 0x6, 0x8


class Http2:
    """One connection. Streams are numbered by whoever sends; `heads`, `bodies`, `resets` are by stream,
    `ended` the streams whose answer is whole, `away` the code of a GOAWAY."""

    def __init__(self, port, ca_file, server_name, settings=None, greet=True, take=True, address="127.0.0.1",
                 context=None):
        plain = socket.create_connection(("127.0.0.1", port), 5, (address, 0))
        context = context or ssl.create_default_context(cafile=ca_file)
        context.set_alpn_protocols(["h2", "http/1.1"])
        self.socket = context.wrap_socket(plain, server_hostname=server_name)
        assert self.socket.selected_alpn_protocol() == "h2"
        self.encoder, self.decoder = Encoder(), Decoder()
        self.heads, self.bodies, self.resets, self.ended = {}, {}, {}, set()
        self.interim, self.trailers = {}, {}
        self.away, self.over = None, False
        self.settings, self.windows, self.pongs = {}, {}, 0
        # Whether what comes is acknowledged, and whether it is given room again.
        self.take, self.gives_room = take, take
        self._unread, self._block = b"", None
        if greet:
            self.raw(PREFACE).send(SettingsFrame(0, settings=settings or {}))

    # Out

    def raw(self, data):
        self.socket.sendall(data)
        return self

    def send(self, *frames):
        return self.raw(b"".join(frame.serialize() for frame in frames))

    def block(self, fields):
        """Fields as they are, compressed; names and values are text or bytes."""
        return self.encoder.encode([(as_bytes(name), as_bytes(value)) for name, value in fields], huffman=False)

    def head(self, stream, fields, end=True):
        """A HEADERS frame of its own."""
        flags = ["END_HEADERS"] + (["END_STREAM"] if end else [])
        return HeadersFrame(stream, self.block(fields), flags=flags)

    def data(self, stream, body, end=True):
        return DataFrame(stream, body, flags=["END_STREAM"] if end else [])

    def reset(self, stream, code=CANCEL):
        return RstStreamFrame(stream, error_code=code)

    def window(self, stream, more):
        return WindowUpdateFrame(stream, window_increment=more)

    # In

    def next(self, seconds=5):
        """Takes in the next frame; None when the peer has closed."""
        self.socket.settimeout(seconds)
        try:
            while len(self._unread) < 9 or len(self._unread) < 9 + int.from_bytes(self._unread[:3], "big"):
                more = self.socket.recv(65536)
                if not more:
                    self.over = True
                    return None
                self._unread += more
        except (ConnectionError, ssl.SSLError):
            self.over = True
            return None
        frame, length = Frame.parse_frame_header(memoryview(self._unread[:9]))
        frame.parse_body(memoryview(self._unread[9:9 + length]))
        self._unread = self._unread[9 + length:]
        self._note(frame)
        return frame

    def _note(self, frame):
        if isinstance(frame, SettingsFrame):
            self.settings.update(frame.settings)
            if "ACK" not in frame.flags and self.take:
                self._try(SettingsFrame(0, flags=["ACK"]))
        elif isinstance(frame, PingFrame):
            self.pongs += "ACK" in frame.flags
            if "ACK" not in frame.flags and self.take:
                self._try(PingFrame(0, frame.opaque_data, flags=["ACK"]))
        elif isinstance(frame, GoAwayFrame):
            self.away = frame.error_code
        elif isinstance(frame, RstStreamFrame):
            self.resets[frame.stream_id] = frame.error_code
        elif isinstance(frame, (HeadersFrame, ContinuationFrame)):
            self._fields(frame)
        elif isinstance(frame, DataFrame):
            self.bodies.setdefault(frame.stream_id, bytearray()).extend(frame.data)
            if frame.flow_controlled_length and self.gives_room:
                windows = [self.window(0, frame.flow_controlled_length)]
                if "END_STREAM" not in frame.flags:
                    windows.append(self.window(frame.stream_id, frame.flow_controlled_length))
                self._try(*windows)
        elif isinstance(frame, WindowUpdateFrame):
            self.windows[frame.stream_id] = self.windows.get(frame.stream_id, 0) + frame.window_increment
        if "END_STREAM" in frame.flags:
            self.ended.add(frame.stream_id)

    def _fields(self, frame):
        block = (self._block or b"") + frame.data
        self._block = None if "END_HEADERS" in frame.flags else block
        if self._block is None:
            fields = [(as_text(name), as_text(value)) for name, value in self.decoder.decode(block, raw=True)]
            if frame.stream_id in self.heads:
                self.trailers[frame.stream_id] = fields
            elif fields[0][1].startswith("1"):
                self.interim.setdefault(frame.stream_id, []).append(fields)
            else:
                self.heads[frame.stream_id] = fields

    def _try(self, *frames):
        try:
            self.send(*frames)
        except OSError:
            pass

    def until(self, condition, what, seconds=5):
        """Takes frames in until `condition()` holds or the connection is over."""
        deadline = time.monotonic() + seconds
        while not condition() and not self.over:
            left = deadline - time.monotonic()
            assert left > 0, f"not within {seconds} s: {what}"
            try:
                self.next(left)
            except TimeoutError:
                raise AssertionError(f"not within {seconds} s: {what}") from None
        return self

    def until_settled(self):
        """Takes in the gateway's settings, and acknowledges them before anything else is sent."""
        return self.until(lambda: self.settings, "the settings")

    def answer(self, stream, seconds=5):
        """The whole answer of a stream; the error code if it was reset, or the connection given up."""
        self.until(lambda: stream in self.ended or stream in self.resets, f"an answer on {stream}", seconds)
        if stream not in self.ended:
            return self.resets.get(stream, self.away)
        fields = self.heads[stream]
        assert fields[0][0] == ":status" and not any(name.startswith(":") for name, _ in fields[1:]), fields
        return Answer(int(fields[0][1]), fields[1:], bytes(self.bodies.get(stream, b"")), f"stream {stream}")

    def begun(self, stream, seconds=5):
        """The fields of a stream's answer, as soon as they are there."""
        self.until(lambda: stream in self.heads or stream in self.resets, f"a head on {stream}", seconds)
        return self.heads.get(stream)

    def end(self, seconds=5):
        """Waits until the gateway closes; the code of its GOAWAY, None if it sent none."""
        self.until(lambda: False, "the connection is closed", seconds)
        return self.away

    def close(self):
        self.socket.close()


class Door2:
    """Requests over HTTP/2 to the app of a `raw.Door`, with its session."""

    def __init__(self, door):
        self.door, self.authority, self.origin, self.host = door, door.authority, door.origin, door.host

    def open(self, **options):
        return Http2(self.door.hospital.https, self.door.hospital.ca, self.door.host, **options)

    def fields(self, line, *headers, authority=None, cookie=True):
        """The fields of `GET /path`, pseudo-header fields first."""
        method, path = line.split(" ", 1)
        pseudo = [(":method", method), (":scheme", "https"), (":authority", authority or self.authority), (":path", path)]
        return pseudo + ([("cookie", self.door.cookie)] if cookie else []) + list(headers)

    def ask(self, line, *headers, body=None, **more):
        """One request on a connection of its own."""
        line2 = self.open()
        try:
            line2.send(line2.head(1, self.fields(line, *headers, **more), end=body is None))
            if body is not None:
                line2.send(line2.data(1, body))
            return line2.answer(1)
        finally:
            line2.close()

    def wrong(self, fields, end=True):
        """What a request of exactly these fields gets: an answer's status, or an error code."""
        line2 = self.open()
        try:
            got = line2.send(line2.head(1, fields, end)).answer(1)
            return got.status if isinstance(got, Answer) else got
        finally:
            line2.close()


def as_bytes(text):
    return text if isinstance(text, bytes) else text.encode("latin-1")


def as_text(data):
    return data.decode("latin-1") if isinstance(data, bytes) else data
