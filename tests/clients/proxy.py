"""Stands between clients and the server, so that connections can be cut as a bad network does."""

import asyncio
import contextlib
import socket
import struct


class Proxy:
    """One port on loopback that leads to one port of the server."""

    def __init__(self, target, port=0):
        """`port`: which one; else one that is free."""
        self.target, self.port = target, port
        self._open = asyncio.Event()
        self._open.set()
        self._writers = set()
        self._tasks = set()

    async def __aenter__(self):
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._listener.close()
        self._reset()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self):
        """Resets all connections, at both ends. Those who come back wait until `admit`."""
        self._open.clear()
        self._reset()

    def hold(self):
        """From now on, those who come wait until `admit`. Who is there stays."""
        self._open.clear()

    def admit(self):
        self._open.set()

    def _reset(self):
        for writer in list(self._writers):
            connection = writer.get_extra_info("socket")
            if connection is not None:
                with contextlib.suppress(OSError):
                    now = struct.pack("ii", 1, 0)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
            writer.transport.abort()

    async def _accept(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        try:
            await self._carry(reader, writer)
        finally:
            self._tasks.discard(asyncio.current_task())

    async def _carry(self, reader, writer):
        self._writers.add(writer)
        other = None
        try:
            await self._open.wait()
            beyond, other = await asyncio.open_connection("127.0.0.1", self.target)
            self._writers.add(other)
            await asyncio.gather(_pump(reader, other), _pump(beyond, writer))
        except OSError:
            pass
        finally:
            for each in filter(None, (writer, other)):
                self._writers.discard(each)
                each.close()


async def _pump(reader, writer):
    while part := await reader.read(65536):
        writer.write(part)
        await writer.drain()
    # The other half of the connection goes with this one.
    writer.close()
