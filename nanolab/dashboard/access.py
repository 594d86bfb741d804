"""Who may see a page and what of it: every request is checked here, before Bokeh's application sees it."""

import hmac
import html
import re
import secrets
from functools import partial
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import unquote, urlsplit

from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.routing import AnyMatches, Matcher, Router, Rule, RuleRouter
from tornado.web import Application, OutputTransform, RequestHandler

__all__ = ["LOCAL_HOSTS", "guarded", "is_local", "new_token"]

#: Addresses that only this machine reaches.
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")

# All that the page needs. Panel and Bokeh open more: `/components/` imports any module that the address names,
# `/autoload.js` runs the page inside other sites', `/metadata` tells about sessions.
_OPEN = re.compile(r"/|/ws|/favicon\.ico|/static/[\w.@^/-]+")
_HOST = re.compile(r"[\w.-]+(:\d+)?|\[[\da-fA-F:.]+\](:\d+)?")
_COOKIE = "nanolab-token"
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>nanolab: token</title>
<body style="font-family: system-ui, sans-serif; max-width: 32em; margin: 4em auto">
<h1>nanolab</h1><p>{message}</p><form method="get" action="/"><label>Token <input name="token" type="password" autofocus
autocomplete="off" style="width: 20em"></label> <button>Open</button></form></body></html>"""
# Bokeh makes functions of strings and writes its start into the page, so scripts cannot be held tighter.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' blob: data: ws://{host} wss://{host}; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors {frames}"
)
_NOTEBOOKS = " ".join(f"{scheme}://{host}:*" for scheme in ("http", "https") for host in LOCAL_HOSTS[:2])


def is_local(host: str) -> bool:
    """Whether only this machine reaches a server that listens on `host`."""
    return host in LOCAL_HOSTS


def new_token() -> str:
    """Return a token nobody can guess."""
    return secrets.token_urlsafe(24)


def guarded(application: Application, token: str | None, *, framed: bool = False) -> Router:
    """Return what hands on to the application what may pass, web sockets and files included.

    The link with `?token=...` leaves a cookie in the browser, which no script and no other site's page can use.

    Parameters
    ----------
    token
        What a visitor must know. Without one, the page is for browsers that call this machine by a local name.
    framed
        Whether a notebook on this machine may show the page.
    """
    stranger = Application([(r".*", _Entrance, {"token": token})])
    for each in (application, stranger):
        each.add_transform(partial(_Headers, frames=_NOTEBOOKS if framed else "'none'"))  # type: ignore[arg-type]
    return RuleRouter([Rule(_May(token), application), Rule(AnyMatches(), stranger)])


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())


def _is_known(request: HTTPServerRequest, token: str | None) -> bool:
    """Whether the request brings the token; without one, whether a local name stands in its address.

    Another site can give its own name to 127.0.0.1, and a browser then sends its page's requests here.
    """
    if token is None:
        return is_local(urlsplit(f"//{request.host}").hostname or "") if _HOST.fullmatch(request.host) else False
    try:
        cookie = SimpleCookie(request.headers.get("Cookie", "")).get(_COOKIE)
    except CookieError:
        return False
    return cookie is not None and _same(cookie.value, token)


def _is_from_here(request: HTTPServerRequest) -> bool:
    """Whether no browser sent it for the page of another site, or of another port of this machine."""
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.host


def _is_open(path: str) -> bool:
    return _OPEN.fullmatch(unquote(path)) is not None and ".." not in unquote(path)


def _asks_for_more(request: HTTPServerRequest) -> bool:
    """Whether a link to the page brings what Bokeh would heed: where scripts come from, whose session it is."""
    return request.path == "/" and bool(request.query)


class _May(Matcher):
    def __init__(self, token: str | None) -> None:
        self._token = token

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        may = _is_known(request, self._token) and _is_open(request.path) and _is_from_here(request)
        return {} if may and not _asks_for_more(request) else None


class _Headers(OutputTransform):
    """Tells the browser to hold the page together: no frames elsewhere, no guessed types, no addresses passed on."""

    def __init__(self, request: HTTPServerRequest, *, frames: str) -> None:
        super().__init__(request)
        host = request.host if _HOST.fullmatch(request.host) else "localhost"
        self._headers = {
            "Content-Security-Policy": _POLICY.format(host=host, frames=frames),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        }
        if frames == "'none'":
            self._headers["X-Frame-Options"] = "DENY"

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        headers.update(self._headers)
        return super().transform_first_chunk(status_code, headers, chunk, finishing)


class _Entrance(RequestHandler):
    """Takes the token from the link or the form; everything else is refused."""

    def initialize(self, token: str | None) -> None:
        self._token = token

    def get(self) -> None:
        if _is_known(self.request, self._token):
            if _asks_for_more(self.request) and _is_from_here(self.request):
                self.redirect("/")
            else:
                self.send_error(403 if _is_open(self.request.path) else 404)
            return
        given = self.get_query_argument("token", "")
        if self._token and given and _same(given, self._token):
            self.set_cookie(_COOKIE, self._token, httponly=True, samesite="Strict", path="/")
            self.redirect("/")  # the one address; one from the request could begin with // and lead to another site
            return
        self.set_status(403)
        self.finish(_PAGE.format(message=html.escape(self._refusal(given))))

    def _refusal(self, given: str) -> str:
        if self._token is None:
            return f"This page is for this machine alone: open it as {LOCAL_HOSTS[0]}, or start it with a token."
        return "This token is wrong." if given else "This page needs the token that was shown where it was started."

    def prepare(self) -> None:
        if self.request.method != "GET":
            self.send_error(403)
