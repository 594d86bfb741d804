"""Who may see a page: a token that every request must bring, checked before anything else sees the request."""

import hmac
import html
import secrets
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlencode

from tornado.httputil import HTTPServerRequest
from tornado.routing import AnyMatches, Matcher, Router, Rule, RuleRouter
from tornado.web import Application, RequestHandler

__all__ = ["LOCAL_HOSTS", "guarded", "is_local", "new_token"]

#: Addresses that only this machine reaches.
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")

_COOKIE = "nanolab-token"
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>nanolab: token</title>
<body style="font-family: system-ui, sans-serif; max-width: 32em; margin: 4em auto">
<h1>nanolab</h1><p>{message}</p><form method="get" action="/"><label>Token <input name="token" type="password" autofocus
autocomplete="off" style="width: 20em"></label> <button>Open</button></form></body></html>"""


def is_local(host: str) -> bool:
    """Whether only this machine reaches a server that listens on `host`."""
    return host in LOCAL_HOSTS


def new_token() -> str:
    """Return a token nobody can guess."""
    return secrets.token_urlsafe(24)


def guarded(application: Any, token: str) -> Router:
    """Return what hands a request on to the application if it brings the token, web sockets and files included.

    The link with `?token=...` leaves a cookie in the browser, which no script and no other site's page can use.
    """
    stranger = Application([(r".*", _Entrance, {"token": token})])
    return RuleRouter([Rule(_HasToken(token), application), Rule(AnyMatches(), stranger)])


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())


class _HasToken(Matcher):
    def __init__(self, token: str) -> None:
        self._token = token

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        try:
            cookie = SimpleCookie(request.headers.get("Cookie", "")).get(_COOKIE)
        except CookieError:
            return None
        return {} if cookie is not None and _same(cookie.value, self._token) else None


class _Entrance(RequestHandler):
    """Takes the token from the link or the form; everything else is refused."""

    def initialize(self, token: str) -> None:
        self._token = token

    def get(self) -> None:
        given = self.get_query_argument("token", "")
        if given and _same(given, self._token):
            self.set_cookie(_COOKIE, self._token, httponly=True, samesite="Strict", path="/")
            rest = {name: values[0] for name, values in self.request.query_arguments.items() if name != "token"}
            self.redirect(f"{self.request.path}{'?' + urlencode(rest) if rest else ''}")
            return
        self.set_status(403)
        message = "This token is wrong." if given else "This page needs the token that was shown where it was started."
        self.finish(_PAGE.format(message=html.escape(message)))

    def prepare(self) -> None:
        if self.request.method != "GET":
            self.send_error(403)
