"""The command line of a report, and what its answer means. Pure.

    mgrctl -m MANAGER longtask.finish elid=PIDFILE status=ok
    mgrctl -m MANAGER longtask.finish elid=PIDFILE status=err errmsg=TEXT       form `arguments`
    mgrctl -m MANAGER longtask.finish&elid=PIDFILE&status=err&errmsg=TEXT       form `joined`

In the first form every value is raw, one element of argv, whatever is in it. In the second the
values are url-encoded, because a query string is url-decoded by who reads it.
"""

LONGEST_ELEMENT = 128 * 1024 - 1   # MAX_ARG_STRLEN of execve(2), which counts the closing NUL
ANSWER_KEPT = 500                  # characters of an answer that are worth keeping
_UNRESERVED = frozenset(b"/-._~:,@0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


def arguments(manager: str, pidfile: str, status: str, errmsg: str, form: str) -> list[str]:
    """The elements after the program's name. `errmsg` is left out where it is empty."""
    values = [("elid", pidfile), ("status", status)]
    if form == "joined":
        start = "longtask.finish" + "".join(f"&{name}={url_encode(v)}" for name, v in values)
        if errmsg:
            start = _encoded_to_fit(start + "&errmsg=", errmsg)
        return ["-m", manager, start]
    elements = [f"{name}={value}" for name, value in values]
    if errmsg:
        elements.append(_to_fit("errmsg=", _printable(errmsg)))
    return ["-m", manager, "longtask.finish", *elements]


def _printable(text: str) -> str:
    """As it is, but for what no argument can hold: NUL, and halves of surrogate pairs."""
    text = text.replace("\0", "\ufffd")
    return text.encode("utf-8", "replace").decode("utf-8")


def _to_fit(prefix: str, text: str) -> str:
    """The element, its text shortened at a whole character where execve would refuse it."""
    data = (prefix + text).encode()
    return data[:LONGEST_ELEMENT].decode("utf-8", "ignore")


def _encoded_to_fit(prefix: str, text: str) -> str:
    """The same with every character encoded as it is added: an escape is never cut in two."""
    pieces = [prefix]
    room = LONGEST_ELEMENT - len(prefix)
    for character in _printable(text):
        piece = url_encode(character)
        room -= len(piece)
        if room < 0:
            break
        pieces.append(piece)
    return "".join(pieces)


def url_encode(text: str) -> str:
    """Every byte but the plainest as %XX; a blank is %20, which all decoders understand."""
    data = text.encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in data)


def is_refusal(output: str) -> bool:
    """True where the panel answered, and said no: stdout begins `ERROR`, whatever the exit code."""
    return output.lstrip().startswith("ERROR")


def kept(output: str) -> str:
    """The part of an answer that is kept, on one line."""
    return " ".join(output.split())[:ANSWER_KEPT]
