"""A small Supabase on loopback: what its auth API (GoTrue) answers, as far as we ask it.

Accounts, sessions and refresh tokens are real in it, and its tokens are signed. Shapes and error
codes are those of GoTrue with API version 2024-01-01.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

SECRET = "the-secret-of-the-project-at-supabase-long-enough-for-sha-512-0123456789"
ANON_KEY = "anon-key"
SERVICE_KEY = "service-key"


@dataclass
class SigningKey:
    """A key pair of the project, by its id."""

    kid: str
    private: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    @property
    def public(self) -> dict[str, Any]:
        jwk = jwt.algorithms.ECAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        return jwk | {"kid": self.kid, "alg": "ES256", "use": "sig"}


class Refusal(Exception):
    def __init__(self, status: int, code: str, **more: Any) -> None:
        self.status = status
        self.body = {"code": code, "message": code.replace("_", " "), **more}


class GoTrue:
    """The project. `keys` empty: it signs with the secret, else with the last key."""

    def __init__(self) -> None:
        self.accounts: dict[str, dict[str, Any]] = {}
        self.refresh_tokens: dict[str, tuple[str, str]] = {}
        self.used_tokens: set[str] = set()
        self.keys: list[SigningKey] = []
        self.asked: list[str] = []
        self.needs_confirmation = False
        self.lifetime = 3600
        self.delay = 0.0
        self.breaks_with: tuple[int, str, bytes] | None = None
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=[0.05], daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def stop(self) -> None:
        """End it: nobody listens at its address from then on."""
        self.server.shutdown()
        self.server.server_close()

    def add(self, email: str, password: str, **more: Any) -> str:
        """An account, and its id."""
        account = {"id": str(uuid.uuid4()), "password": password, "confirmed": True, **more}
        self.accounts[email] = account
        return account["id"]

    def claims(self, email: str, /, **changes: Any) -> dict[str, Any]:
        """What a good token of that account says."""
        now = int(time.time())
        account = self.accounts.get(email, {"id": str(uuid.uuid4())})
        return {
            "iss": f"{self.url}/auth/v1",
            "sub": account["id"],
            "aud": "authenticated",
            "iat": now,
            "exp": now + self.lifetime,
            "email": email,
            "role": "authenticated",
            "app_metadata": {"provider": "email"},
            "user_metadata": {},
            "session_id": str(uuid.uuid4()),
            "is_anonymous": False,
        } | changes

    def sign(self, claims: dict[str, Any]) -> str:
        if not self.keys:
            return jwt.encode(claims, SECRET, "HS256")
        key = self.keys[-1]
        return jwt.encode(claims, key.private, "ES256", headers={"kid": key.kid})

    def token(self, email: str, /, **changes: Any) -> str:
        """An access token; `changes` are to its claims."""
        return self.sign(self.claims(email, **changes))

    # --- What it answers ---

    def answer(  # noqa: PLR0911
        self, method: str, path: str, query: dict[str, str], body: Any, bearer: str
    ) -> Any:
        self.asked.append(f"{method} {path}")
        match method, path:
            case "POST", "/auth/v1/signup":
                return self._sign_up(body["email"], body["password"])
            case "POST", "/auth/v1/token" if query["grant_type"] == "password":
                return self._sign_in(body["email"], body["password"])
            case "POST", "/auth/v1/token":
                return self._refresh(body["refresh_token"])
            case "POST", "/auth/v1/logout":
                return self._log_out(bearer, query["scope"])
            case "PUT", "/auth/v1/user":
                return self._change(bearer, body["password"])
            case "GET", "/auth/v1/.well-known/jwks.json":
                return {"keys": [key.public for key in self.keys]}
        if method == "DELETE" and path.startswith("/auth/v1/admin/users/"):
            return self._delete(path.rpartition("/")[2], bearer)
        raise Refusal(404, "not_found")

    def _sign_up(self, email: str, password: str) -> Any:
        if email in self.accounts:
            raise Refusal(422, "user_already_exists")
        if len(password) < 9:
            raise Refusal(422, "weak_password", weak_password={"reasons": ["length"]})
        self.add(email, password, confirmed=not self.needs_confirmation)
        return self._user(email) if self.needs_confirmation else self._session(email)

    def _sign_in(self, email: str, password: str) -> Any:
        account = self.accounts.get(email)
        if account is None or account["password"] != password:
            raise Refusal(400, "invalid_credentials")
        if not account["confirmed"]:
            raise Refusal(400, "email_not_confirmed")
        return self._session(email)

    def _refresh(self, token: str) -> Any:
        if token in self.used_tokens:
            raise Refusal(400, "refresh_token_already_used")
        if token not in self.refresh_tokens:
            raise Refusal(400, "refresh_token_not_found")
        email, session = self.refresh_tokens.pop(token)
        self.used_tokens.add(token)
        return self._session(email, session)

    def _log_out(self, bearer: str, scope: str) -> None:
        claims = self._bearer(bearer)
        ended = {
            token
            for token, (email, session) in self.refresh_tokens.items()
            if session == claims["session_id"] or (scope == "global" and email == claims["email"])
        }
        for token in ended:
            del self.refresh_tokens[token]

    def _change(self, bearer: str, password: str) -> Any:
        email = self._bearer(bearer)["email"]
        if self.accounts[email]["password"] == password:
            raise Refusal(422, "same_password")
        self.accounts[email]["password"] = password
        return self._user(email)

    def _delete(self, account_id: str, bearer: str) -> Any:
        if bearer != SERVICE_KEY:
            raise Refusal(403, "not_admin")
        for email, account in self.accounts.items():
            if account["id"] == account_id:
                del self.accounts[email]
                return {}
        raise Refusal(404, "user_not_found")

    def _bearer(self, token: str) -> dict[str, Any]:
        key, algorithm = (
            (self.keys[-1].private.public_key(), "ES256") if self.keys else (SECRET, "HS256")
        )
        try:
            return jwt.decode(token, key, [algorithm], audience="authenticated")
        except jwt.PyJWTError as error:
            raise Refusal(403, "bad_jwt") from error

    def _session(self, email: str, session: str = "") -> dict[str, Any]:
        session = session or str(uuid.uuid4())
        refresh = uuid.uuid4().hex[:12]
        self.refresh_tokens[refresh] = (email, session)
        return {
            "access_token": self.token(email, session_id=session),
            "token_type": "bearer",
            "expires_in": self.lifetime,
            "expires_at": int(time.time()) + self.lifetime,
            "refresh_token": refresh,
            "user": self._user(email),
        }

    def _user(self, email: str) -> dict[str, Any]:
        return {
            "id": self.accounts[email]["id"],
            "aud": "authenticated",
            "role": "authenticated",
            "email": email,
            "app_metadata": {"provider": "email", "providers": ["email"]},
            "user_metadata": {},
            "identities": [],
            "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z",
        }


def _handler(project: GoTrue) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            bearer = self.headers.get("Authorization", "").partition(" ")[2]
            time.sleep(project.delay)
            if project.breaks_with:
                return self.send(*project.breaks_with)
            try:
                answer = project.answer(self.command, url.path, query, body, bearer)
            except Refusal as refusal:
                return self.send_json(refusal.status, refusal.body)
            return self.send_json(204 if answer is None else 200, answer)

        def send_json(self, status: int, body: Any) -> None:
            self.send(
                status, "application/json", b"" if body is None else json.dumps(body).encode()
            )

        def send(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Supabase-Api-Version", "2024-01-01")
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = respond  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
