"""Refuses requests of web pages to servers on this machine.

The emulators accept every origin and every host name, and they run code. A page in a developer's browser can send requests
to 127.0.0.1 without permission, also as "simple" requests (a form, an image), and with DNS rebinding it can read the
responses. The guard refuses requests that no AWS client sends:

- with a `Host` of another machine (after DNS rebinding it is the page's own host),
- with an `Origin`, which a browser adds to every request that a page's script or form sends to another origin,
- with a page's `Sec-Fetch-Site`, which a browser adds where it adds no `Origin`, such as to the request of an image.

Pages may call the API behind the load balancer, which applies its own rules. The guard checks the `Host` there as well.
"""

import http.server
import ipaddress

API = "/_alb/"
NAMES = {"localhost", "host.docker.internal"}


def _is_of_this_machine(host):
    """Accepts literal addresses, because DNS rebinding requires a host name."""
    name = host.rsplit(":", 1)[0] if host.count(":") == 1 or "]:" in host else host
    if name.lower() in NAMES:
        return True
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def refusal(path, headers):
    """Returns why a request is refused, or None. `headers` are pairs with names in lower case."""
    hosts = [value for name, value in headers if name == "host"]
    if len(hosts) != 1 or not _is_of_this_machine(hosts[0]):
        return "the Host is not this machine"
    if path.startswith(API) and "%" not in path and ".." not in path:
        return None
    for name, value in headers:
        if name == "origin" or (name == "sec-fetch-site" and value != "none"):
            return "web pages may not call this server"
    return None


def guarded(app):
    """Wraps an ASGI application in the guard."""

    async def guard(scope, receive, send):
        if scope["type"] in ("http", "websocket"):
            path = scope.get("raw_path") or scope["path"].encode()
            headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]]
            reason = refusal(path.decode("latin-1"), headers)
            if reason and scope["type"] == "http":
                await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
                await send({"type": "http.response.body", "body": reason.encode() + b"\n"})
                return
            if reason:
                await send({"type": "websocket.close", "code": 1008})
                return
        await app(scope, receive, send)

    return guard


def install():
    """Puts the guard in front of all servers of this interpreter (hypercorn and the standard library)."""
    parse_request = http.server.BaseHTTPRequestHandler.parse_request

    def parse(handler):
        if not parse_request(handler):
            return False
        headers = [(name.lower(), value) for name, value in handler.headers.items()]
        reason = refusal(handler.path, headers)
        if reason:
            handler.send_error(403, reason)
        return reason is None

    http.server.BaseHTTPRequestHandler.parse_request = parse
    try:
        from hypercorn.app_wrappers import ASGIWrapper
    except ImportError:
        return
    init = ASGIWrapper.__init__
    ASGIWrapper.__init__ = lambda wrapper, app: init(wrapper, guarded(app))
