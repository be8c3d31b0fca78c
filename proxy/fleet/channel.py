"""Messages over a socket between two processes of ours: four bytes of length, then MessagePack."""

from __future__ import annotations

import asyncio
import socket
from typing import Generic, TypeVar

import msgspec

from proxy.errors import ShadowreadError

LARGEST = 32 * 1024 * 1024
"""Bytes of one message. What is sent is capped far below it where it is made."""
WAITING = 2 * LARGEST
"""Bytes that may wait for a peer that does not read."""
_LENGTH = 4

Sent = TypeVar("Sent", bound=msgspec.Struct)
Received = TypeVar("Received")


class ChannelError(ShadowreadError):
    """The peer is gone, does not read, or says what cannot be understood. What to do is to end it."""


class Channel(Generic[Sent, Received]):
    """One end. `send` waits for nothing, `receive` belongs to one task."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, decoder: msgspec.msgpack.Decoder[Received]
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder = decoder
        self._encoder = msgspec.msgpack.Encoder()

    @classmethod
    async def over(
        cls, connected: socket.socket, decoder: msgspec.msgpack.Decoder[Received]
    ) -> Channel[Sent, Received]:
        """Take over a connected stream socket. `decoder` knows what the peer says."""
        connected.setblocking(False)
        reader, writer = await asyncio.open_unix_connection(sock=connected)
        return cls(reader, writer, decoder)

    def send(self, message: Sent) -> None:
        """Raises ChannelError when the peer is gone, or too much waits for it already."""
        content = self._encoder.encode(message)
        if len(content) > LARGEST:
            raise ChannelError(f"a {type(message).__name__} of {len(content):,} bytes is too large to be sent")
        waiting = self._writer.transport.get_write_buffer_size()
        if self._writer.is_closing():
            raise ChannelError("the other process is gone")
        if waiting > WAITING:
            raise ChannelError(f"the other process does not read; {waiting:,} bytes wait for it")
        self._writer.write(len(content).to_bytes(_LENGTH, "big"))
        self._writer.write(content)

    async def drained(self) -> None:
        """Wait until the peer has taken most of what was sent. Raises ChannelError when it is gone."""
        try:
            await self._writer.drain()
        except ConnectionError as error:
            raise ChannelError("the other process is gone") from error

    async def receive(self) -> Received | None:
        """The next message; None when the peer has closed. Raises ChannelError for what is none."""
        try:
            size = int.from_bytes(await self._reader.readexactly(_LENGTH), "big")
            if size > LARGEST:
                raise ChannelError(f"a message of {size:,} bytes was announced; at most {LARGEST:,} are taken")
            return self._decoder.decode(await self._reader.readexactly(size))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        except msgspec.MsgspecError as error:
            raise ChannelError(f"a message could not be read: {error}") from error

    async def close(self) -> None:
        """Close; what waits is given up when the peer is gone."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return
