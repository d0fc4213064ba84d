"""The parameters and bodies of requests to a replica, with their bounds."""

from starlette.requests import Request

QUERY_CHARACTERS = 1000
ID_CHARACTERS = 256


class RequestRefused(Exception):
    """A request that is answered with a problem."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error


def query_text(request: Request, *, required: bool = False) -> str:
    """The parameter `q`. Raises: RequestRefused."""
    text = request.query_params.get("q", "")
    if required and not text.strip():
        raise RequestRefused(400, "q: missing; ask /search?q=WORDS")
    if len(text) > QUERY_CHARACTERS:
        raise RequestRefused(400, f"q: {len(text)} characters, at most {QUERY_CHARACTERS}")
    return text


def item_id(request: Request) -> str:
    """The id in the path. Raises: RequestRefused."""
    found: str = request.path_params["id"]
    if len(found) > ID_CHARACTERS:
        raise RequestRefused(400, f"id: {len(found)} characters, at most {ID_CHARACTERS}")
    return found


def whole_number(request: Request, name: str, default: int, most: int) -> int:
    """A parameter that is a whole number. Raises: RequestRefused."""
    given = request.query_params.get(name)
    if given is None:
        return default
    least = min(default, 1)
    if not (given.isascii() and given.isdigit() and least <= int(given[:9]) <= most):
        raise RequestRefused(
            400, f"{name}: {given[:40]!r} is no whole number from {least} to {most}"
        )
    return int(given)


async def read_body(request: Request, most: int) -> bytes:
    """Raises: RequestRefused, before more than `most` bytes are held."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most:
            raise RequestRefused(
                413, f"body: more than {most} bytes, which limits.event_bytes allows"
            )
    return bytes(body)
