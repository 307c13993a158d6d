"""The supervisor's two sockets (DESIGN 5).

`supervisor.sock` in the state directory obeys the same user and root: hello on connecting, then one
JSON object a line: sync (answered when all is followed up), watch (an event after each change).
`.finish.sock` in the run directory takes only `finish`, from an attempt's own user with its token.
No message carries state that is not in the catalogue, but for a task's word about itself.
"""

import json
import os
import select
import socket
import struct
from collections.abc import Callable
from typing import Any

from ltspec import __version__

_LINE_LIMIT = 400_000
_CONNECTION_LIMIT = 1000
# At the second socket anybody can knock. That must cost the commands nothing, nor other users.
_STRANGERS_LIMIT = 256
_STRANGERS_OF_ONE_USER = 32
DEAF_SECONDS = 0.5


class Peer:
    """One accepted connection."""

    def __init__(self, sock: socket.socket, uid: int, *, trusted: bool) -> None:
        self.sock = sock
        self.uid = uid
        self.trusted = trusted
        self.buffer = b""
        self.watching = False
        self.syncing = 0


def peer_uid(sock: socket.socket) -> int:
    """The user at the other end, as the kernel knows it (SO_PEERCRED, unix(7))."""
    data = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", data)[1])


class Talk:
    """All connections. `requests` is filled by `handle` and emptied by the loop."""

    def __init__(
        self,
        epoll: select.epoll,
        trusted: socket.socket,
        finishing: socket.socket,
        on_finish: Callable[[int, dict[str, Any]], dict[str, Any]],
        *,
        run_dir: str,
        dies_with: str,
    ) -> None:
        self._epoll = epoll
        self._listening: dict[int, tuple[socket.socket, bool]] = {}
        self._on_finish = on_finish
        self._run_dir = run_dir
        self._dies_with = dies_with
        self.deaf_until: float | None = None     # boot clock; no descriptor was left for a caller
        self.peers: dict[int, Peer] = {}
        self._listen(trusted, trusted=True)
        self._listen(finishing, trusted=False)

    def _listen(self, sock: socket.socket, *, trusted: bool) -> None:
        sock.setblocking(False)
        self._listening[sock.fileno()] = (sock, trusted)
        self._epoll.register(sock.fileno(), select.EPOLLIN)

    def renew_finishing(self, sock: socket.socket) -> None:
        """The second socket's path was removed: from here on this one stands there."""
        for number, (old, trusted) in list(self._listening.items()):
            if not trusted:
                del self._listening[number]
                if self.deaf_until is None:
                    self._epoll.unregister(number)
                old.close()
        self._listen(sock, trusted=False)

    @property
    def trusted_count(self) -> int:
        """Open connections of commands; while there is one, the supervisor does not leave."""
        return sum(peer.trusted for peer in self.peers.values())

    def owns(self, number: int) -> bool:
        """True where the descriptor is one of ours."""
        return number in self._listening or number in self.peers

    def handle(self, number: int, boot: float) -> bool:
        """Serve one readable descriptor; True where the catalogue is to be looked at again."""
        if number in self._listening:
            self._accept(*self._listening[number], boot)
            return False
        return self._read(self.peers[number])

    def listen_again(self, boot: float) -> None:
        """Open the door again after a time without descriptors."""
        if self.deaf_until is not None and self.deaf_until <= boot:
            self.deaf_until = None
            for number in self._listening:
                self._epoll.register(number, select.EPOLLIN)

    def _close_the_door(self, boot: float) -> None:
        """Callers wait in the backlog instead of waking us for nothing."""
        self.deaf_until = boot + DEAF_SECONDS
        for number in self._listening:
            self._epoll.unregister(number)

    def _accept(self, listening: socket.socket, trusted: bool, boot: float) -> None:  # noqa: FBT001 - from the table above
        try:
            sock, _ = listening.accept()
        except (BlockingIOError, ConnectionError):
            return  # the other side is gone again
        except OSError:
            if self.deaf_until is None:
                self._close_the_door(boot)
            return
        sock.setblocking(False)
        uid = peer_uid(sock)
        if not self._may_enter(uid, trusted=trusted):
            sock.close()
            return
        peer = Peer(sock, uid, trusted=trusted)
        self.peers[sock.fileno()] = peer
        self._epoll.register(sock.fileno(), select.EPOLLIN)
        hello = {"hello": 1, "version": __version__, "pid": os.getpid(), "run_dir": self._run_dir}
        survives = {"survives": not self._dies_with, "dies_with": self._dies_with}
        self._send(peer, hello | survives)

    def _may_enter(self, uid: int, *, trusted: bool) -> bool:
        if trusted:
            return uid in (0, os.geteuid()) and self.trusted_count < _CONNECTION_LIMIT
        strangers = [peer.uid for peer in self.peers.values() if not peer.trusted]
        return len(strangers) < _STRANGERS_LIMIT and strangers.count(uid) < _STRANGERS_OF_ONE_USER

    def _read(self, peer: Peer) -> bool:
        try:
            data = peer.sock.recv(65536)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data or len(peer.buffer) + len(data) > _LINE_LIMIT:
            self.drop(peer)
            return peer.trusted
        peer.buffer += data
        look = False
        while b"\n" in peer.buffer:
            line, _, peer.buffer = peer.buffer.partition(b"\n")
            look = self._obey(peer, line) or look
        return look

    def _obey(self, peer: Peer, line: bytes) -> bool:
        try:
            message = json.loads(line)
            what = message["do"]
        except (ValueError, KeyError, TypeError):
            self._send(peer, {"error": "not understood: one JSON object a line, with `do`"})
            return False
        if what == "finish":
            self._send(peer, self._on_finish(peer.uid, message))
            return True
        if not peer.trusted:
            self._send(peer, {"error": "only `finish` is possible here"})
            return False
        if what == "watch":
            peer.watching = True
            self._send(peer, {"ok": True})
            return False
        if what == "sync":
            peer.syncing += 1
            return True
        problem = f"unknown request {what!r}: is the supervisor older? send it SIGHUP"
        self._send(peer, {"error": problem})
        return False

    def synced(self, trouble: str = "") -> None:
        """Answer all who wait: what they had committed is followed up, or cannot be now."""
        for peer in list(self.peers.values()):
            while peer.syncing:
                peer.syncing -= 1
                self._send(peer, {"error": trouble} if trouble else {"ok": True})

    def changed(self) -> None:
        """Tell the watchers to look again. One whose buffer is full of events will look anyway."""
        for peer in list(self.peers.values()):
            if peer.watching:
                self._send(peer, {"event": "change"})

    def _send(self, peer: Peer, message: dict[str, Any]) -> None:
        try:
            peer.sock.send(json.dumps(message).encode() + b"\n")
        except BlockingIOError:
            return
        except OSError:
            self.drop(peer)

    def drop(self, peer: Peer) -> None:
        """Close a connection."""
        number = peer.sock.fileno()
        if self.peers.pop(number, None) is not None:
            self._epoll.unregister(number)
            peer.sock.close()
