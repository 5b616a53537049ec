"""The backends of the chaos suite, a process of their own: HTTP whose bodies can be checked, an upgrade that echoes, a TCP echo,
datagram echoes that say who they are.

    origin.py --http PORT... --tcp PORT... --udp PORT...
"""

import argparse
import asyncio


def body_for(path):
    """What a path must answer: long enough to span several reads for some, so that a mixed-up body shows."""
    return (path * (1 + len(path) * 97 % 301)).encode()


async def read_head(reader):
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, _, rest = head.partition("\r\n")
    fields = {}
    for row in rest.split("\r\n"):
        name, _, value = row.partition(":")
        fields[name.lower()] = value.strip()
    return line.split(" "), fields


async def read_body(reader, fields):
    if "chunked" in fields.get("transfer-encoding", ""):
        total = 0
        while True:
            size = int((await reader.readline()).split(b";")[0], 16)
            await reader.readexactly(size + 2)
            total += size
            if size == 0:
                return total
    return len(await reader.readexactly(int(fields.get("content-length", 0))))


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def serve_http(reader, writer):
    try:
        while True:
            (_, path, _), fields = await read_head(reader)
            if "upgrade" in fields:
                writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chaos\r\n\r\n")
                await echo(reader, writer)
                break
            got = await read_body(reader, fields)
            body = f"{got} bytes".encode() if got else body_for(path)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError, ValueError):
        pass
    finally:
        writer.close()


async def serve_tcp(reader, writer):
    try:
        await echo(reader, writer)
    except ConnectionError:
        pass
    finally:
        writer.close()


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self, port):
        self.port = port

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.transport.sendto(f"{self.port}:".encode() + data, address)


async def main(ports):
    servers = [await asyncio.start_server(serve_http, "127.0.0.1", port, backlog=4096) for port in ports.http]
    servers += [await asyncio.start_server(serve_tcp, "127.0.0.1", port, backlog=4096) for port in ports.tcp]
    for port in ports.udp:
        await asyncio.get_running_loop().create_datagram_endpoint(lambda port=port: Datagrams(port), ("127.0.0.1", port))
    print("ready", flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for kind in ("--http", "--tcp", "--udp"):
        parser.add_argument(kind, type=int, nargs="*", default=[])
    try:
        asyncio.run(main(parser.parse_args()))
    except KeyboardInterrupt:
        pass
