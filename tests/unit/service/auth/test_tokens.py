"""Tokens of an identity provider: a real HTTP server with its public keys."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm

from service.settings import Settings


class Issuer:
    """Signs tokens and serves its keys."""

    def __init__(self):
        self.key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        self.fetches = 0
        issuer = self

        class Keys(BaseHTTPRequestHandler):
            def do_GET(self):
                issuer.fetches += 1
                public = json.loads(RSAAlgorithm.to_jwk(issuer.key.public_key()))
                body = json.dumps({"keys": [{**public, "kid": "k1", "use": "sig"}]}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Keys)
        self.url = f"http://127.0.0.1:{self.server.server_port}/keys"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def token(self, *, key=None, kid="k1", algorithm="RS256", **claims):
        now = int(time.time())
        known = {
            "iss": "https://issuer.test",
            "aud": "tiltscope",
            "sub": "someone",
            "iat": now,
            "exp": now + 600,
            "tenant": "alice",
            "scope": "openid tiltscope:read tiltscope:write",
        }
        body = {name: value for name, value in (known | claims).items() if value is not None}
        return jwt.encode(body, key or self.key, algorithm=algorithm, headers={"kid": kid})


@pytest.fixture(scope="module")
def issuer():
    running = Issuer()
    yield running
    running.server.shutdown()
    running.server.server_close()


@pytest.fixture
def settings(settings, issuer):
    provider = {"oidc_issuer": "https://issuer.test", "oidc_jwks_url": issuer.url}
    return Settings(**{**settings.model_dump(), **provider})


def test_a_token_opens_its_tenant_with_its_scopes(gateway, issuer, bearer, request_body, make_key):
    accepted = gateway.post("/v1/analyses", json=request_body, headers=bearer(issuer.token()))
    assert accepted.status_code == 202
    assert gateway.get(accepted.headers["Location"], headers=bearer(make_key("alice"))).status_code == 200
    other = bearer(issuer.token(tenant="bob"))
    assert gateway.get(accepted.headers["Location"], headers=other).status_code == 404
    reader = bearer(issuer.token(scope=["read"]))
    assert gateway.post("/v1/analyses", json=request_body, headers=reader).status_code == 403
    assert gateway.get("/v1/analyses", headers=bearer(issuer.token(scope=None))).status_code == 403


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": -120},
        {"nbf": 600},
        {"iss": "https://other.test"},
        {"aud": "another-service"},
        {"aud": None},
        {"exp": None},
        {"iat": None},
        {"exp": 86_400},
        {"tenant": None},
        {"tenant": ["alice"]},
        {"kid": "k2"},
    ],
)
def test_a_token_that_is_not_for_here_and_now_is_refused(gateway, issuer, bearer, claims):
    now = int(time.time())
    claims = {name: now + value if isinstance(value, int) else value for name, value in claims.items()}
    answer = gateway.get("/v1/analyses", headers=bearer(issuer.token(**claims)))
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


def test_a_forged_signature_is_refused(gateway, issuer, bearer):
    stranger = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    assert gateway.get("/v1/analyses", headers=bearer(issuer.token(key=stranger))).status_code == 401
    unsigned = jwt.encode({"sub": "x"}, None, algorithm="none", headers={"kid": "k1"})
    assert gateway.get("/v1/analyses", headers=bearer(unsigned)).status_code == 401


def test_the_public_key_is_no_password(gateway, issuer, bearer):
    """Algorithm confusion: HS256 with the public key as its secret."""
    import base64
    import hashlib
    import hmac

    public = issuer.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    parts = issuer.token().split(".")
    header = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "typ": "JWT", "kid": "k1"}).encode())
    signed = header.rstrip(b"=") + b"." + parts[1].encode()
    signature = base64.urlsafe_b64encode(hmac.new(public, signed, hashlib.sha256).digest()).rstrip(b"=")
    forged = (signed + b"." + signature).decode()
    assert gateway.get("/v1/analyses", headers=bearer(forged)).status_code == 401


def test_unknown_key_ids_do_not_make_us_fetch_each_time(gateway, issuer, bearer):
    gateway.get("/v1/analyses", headers=bearer(issuer.token()))
    before = issuer.fetches
    for index in range(20):
        gateway.get("/v1/analyses", headers=bearer(issuer.token(kid=f"x{index}")))
    assert issuer.fetches - before <= 1
