"""Delivery against real receivers on loopback, signatures checked with the library receivers use."""

import socket
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update
from standardwebhooks import Webhook, WebhookVerificationError
from webhook_receiver import fine, receiving

from ledger import outbox, webhooks
from ledger.database import connect, migrate, read, write
from ledger.sealing import open_seal
from ledger.tables import outbox as messages
from workers.reconciler.retry_pauses import RetryPauses
from workers.reconciler.webhook_message import body_of, headers_of
from workers.reconciler.webhooks import MAX_ANSWER_BYTES, Webhooks
from workers.settings import Settings

SECRET = "whsec_" + "A" * 43 + "="
OTHER = "whsec_" + "B" * 43 + "="
PAYLOAD = {"id": "anl_1", "kind": "capability", "status": "succeeded", "partial": False, "verdict": "mixed"}


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    path = tmp_path_factory.mktemp("ledger") / "ledger.sqlite3"
    migrate(f"sqlite:///{path}")
    return path.read_bytes()


class Post:
    """A ledger with webhooks, and a reconciler's part that empties its outbox."""

    def __init__(self, home, **settings):
        defaults = {"webhook_loopback": True, "webhook_pause_seconds": 0.001, "webhook_poll_seconds": 0.02}
        self.settings = Settings(home=home, **{**defaults, **settings})
        self.engine = connect(self.settings.ledger_url)
        self.resolve = None

    def hook(self, url, webhook_id="whk_1"):
        seal = open_seal("", self.settings.home)
        with write(self.engine) as conn:
            webhooks.create(
                conn, tenant_id="default", webhook_id=webhook_id, name=None, url=url, events=[],
                secret=seal.seal(SECRET), most=20,
            )  # fmt: skip

    def tell(self, webhook_id="whk_1"):
        with write(self.engine) as conn:
            return outbox.enqueue(conn, "default", webhook_id, "analysis.succeeded", PAYLOAD).id

    def log(self, webhook_id="whk_1"):
        with read(self.engine) as conn:
            return list(reversed(outbox.list_deliveries(conn, "default", webhook_id, limit=100)))

    def attempted(self, count=1, webhook_id="whk_1"):
        give_up_at = time.monotonic() + 60
        while len(log := self.log(webhook_id)) < count:
            assert time.monotonic() < give_up_at, log
            time.sleep(0.01)
        return log

    @contextmanager
    def working(self):
        part = Webhooks(self.engine, self.settings, **({"resolve": self.resolve} if self.resolve else {}))
        part.start()
        try:
            yield part
        finally:
            part.stop()


@pytest.fixture
def post_of(tmp_path, template):
    (tmp_path / "ledger.sqlite3").write_bytes(template)
    made = []

    def make(**settings):
        made.append(Post(tmp_path, **settings))
        return made[-1]

    yield make
    for post in made:
        post.engine.dispose()


def test_a_message_is_signed_as_the_library_checks_it(post_of):
    post = post_of()
    with receiving() as receiver, post.working():
        post.hook(receiver.url)
        message_id = post.tell()
        (attempt,) = post.attempted()
    (received,) = receiver.received
    document = received.verify(SECRET)
    assert document["type"] == "analysis.succeeded"
    assert document["timestamp"].endswith("Z")
    own = "/v1/analyses/anl_1"
    assert document["data"].pop("links")["result"] == f"{own}/result"
    assert document["data"] == {**PAYLOAD, "object": "analysis", "revision": 1, "result_revision": 1}
    assert (received.id, received.path) == (message_id, "/hook?x=1")
    assert received.headers["Host"] == f"127.0.0.1:{receiver.port}"
    assert (attempt.status, attempt.error, attempt.outcome) == (204, None, "delivered")
    with pytest.raises(WebhookVerificationError):
        received.verify(OTHER)
    received.body = received.body.replace(b"mixed", b"creat")
    with pytest.raises(WebhookVerificationError):
        received.verify(SECRET)


def test_one_that_fails_three_times_then_takes_it_gets_the_same_message_four_times(post_of):
    post = post_of()
    with receiving(lambda n: (500, {}, b"no") if n < 4 else fine(n)) as receiver, post.working():
        post.hook(receiver.url)
        message_id = post.tell()
        log = post.attempted(4)
    assert {received.id for received in receiver.received} == {message_id}
    assert len({received.body for received in receiver.received}) == 1
    assert [(row.attempt, row.status, row.outcome) for row in log] == [
        (1, 500, "retried"), (2, 500, "retried"), (3, 500, "retried"), (4, 204, "delivered"),
    ]  # fmt: skip
    for received in receiver.received:
        received.verify(SECRET)


def test_after_the_last_attempt_or_a_410_it_is_given_up(post_of):
    post = post_of(webhook_attempts=2)
    with receiving(lambda n: (500, {}, b"")) as failing, receiving(lambda n: (410, {}, b"")) as gone:
        post.hook(failing.url, "whk_f")
        post.hook(gone.url, "whk_g")
        post.tell("whk_f")
        post.tell("whk_g")
        with post.working():
            assert [row.outcome for row in post.attempted(2, "whk_f")] == ["retried", "given_up"]
            assert [row.outcome for row in post.attempted(1, "whk_g")] == ["given_up"]
    assert (len(failing.received), len(gone.received)) == (2, 1)


def test_one_that_hangs_is_left_after_the_limit_and_delays_no_other(post_of):
    post = post_of(webhook_limit_seconds=1.0, webhook_attempts=1)
    release = threading.Event()

    def hang(number):
        release.wait(30)
        return fine(number)

    with receiving(hang) as hanging, receiving() as quick:
        post.hook(hanging.url, "whk_h")
        post.hook(quick.url, "whk_q")
        post.tell("whk_h")
        with post.working():
            for _ in range(3):
                post.tell("whk_q")
            post.attempted(3, "whk_q")
            assert post.log("whk_h") == []
            (attempt,) = post.attempted(1, "whk_h")
            release.set()
    assert (attempt.status, attempt.error) == (None, "no full answer within 1 s")


def test_one_that_drips_is_left_after_the_limit(post_of):
    """Each byte comes in time; the answer never ends."""
    post = post_of(webhook_limit_seconds=0.6, webhook_attempts=1)
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip():
            connection, _ = server.accept()
            with connection:
                while not done.wait(0.1):
                    try:
                        connection.sendall(b"HTTP/1.1 200 OK\r\n"[:1])
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        post.hook(f"http://127.0.0.1:{server.getsockname()[1]}/")
        post.tell()
        with post.working():
            (attempt,) = post.attempted()
        done.set()
        thread.join()
    assert attempt.outcome == "given_up"
    assert attempt.status is None


def test_a_long_answer_is_not_read_to_its_end(post_of):
    post = post_of()
    with receiving(lambda n: (200, {}, b"x" * (MAX_ANSWER_BYTES * 200))) as receiver, post.working():
        post.hook(receiver.url)
        post.tell()
        (attempt,) = post.attempted()
    assert attempt.outcome == "delivered"


def test_while_two_secrets_live_both_sign(post_of):
    post = post_of()
    with receiving() as receiver:
        post.hook(receiver.url)
        with write(post.engine) as conn:
            sealed = open_seal("", post.settings.home).seal(OTHER)
            webhooks.rotate(conn, "default", "whk_1", secret=sealed, overlap_seconds=60)
        post.tell()
        with post.working():
            post.attempted()
    (received,) = receiver.received
    assert received.verify(SECRET) == received.verify(OTHER)


def test_what_a_dead_process_left_is_sent_with_the_same_id(post_of):
    """It died between the receiver's answer and its own record: the receiver hears twice, by one id."""
    post = post_of()
    with receiving() as receiver:
        post.hook(receiver.url)
        post.tell()
        (message,) = outbox.claim(post.engine, limit=1, busy=(), hold_seconds=0)
        dying = Webhooks(post.engine, post.settings)
        dying._send(message, open_seal("", post.settings.home))
        with post.working():
            (attempt,) = post.attempted()
    first, second = receiver.received
    assert (first.id, first.body) == (second.id, second.body)
    assert attempt.attempt == 2


@pytest.mark.parametrize(
    "host",
    [
        "127.1", "2130706433", "0x7f000001", "017700000001", "localhost", "127.0.0.1", "0.0.0.0", "0",
        "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
        "169.254.169.254", "10.0.0.1",
    ],
)  # fmt: skip
def test_no_spelling_of_this_machine_or_a_private_one_is_connected_to(post_of, host):
    with receiving() as receiver:
        post = post_of(
            webhook_loopback=False, webhook_http=True, webhook_ports={receiver.port}, webhook_attempts=1
        )
        post.hook(f"http://{host}:{receiver.port}/")
        post.tell()
        with post.working():
            (attempt,) = post.attempted()
    assert receiver.received == []
    assert attempt.outcome == "given_up"
    assert "not public" in attempt.error or "no address" in attempt.error


def test_a_redirect_to_a_forbidden_listener_is_not_followed(post_of):
    with receiving() as forbidden, receiving(lambda n: (307, {"Location": forbidden.url}, b"")) as receiver:
        post = post_of(webhook_attempts=1)
        post.hook(receiver.url)
        post.tell()
        with post.working():
            (attempt,) = post.attempted()
    assert forbidden.received == []
    assert (attempt.status, attempt.error) == (307, "answered 307; redirects are not followed")


def test_a_name_that_leads_inside_at_the_second_look_is_not_followed(post_of):
    """The name is public when it is first looked at, and a listener of ours when it is connected to."""
    answers = iter([["203.0.114.1"], ["127.0.0.1"]])
    looks = []

    def rebinding(host, port):
        looks.append(host)
        return next(answers)

    with receiving() as forbidden:
        post = post_of(
            webhook_loopback=False, webhook_http=True, webhook_ports={forbidden.port},
            webhook_limit_seconds=0.5, webhook_attempts=2,
        )  # fmt: skip
        post.resolve = rebinding
        post.hook(f"http://rebound.example:{forbidden.port}/")
        post.tell()
        with post.working():
            first, second = post.attempted(2)
    assert forbidden.received == []
    # One look an attempt: the connection of the first went to the address that was checked, or nowhere.
    assert looks == ["rebound.example"] * 2
    assert first.status is None
    assert "not public" in second.error


@pytest.mark.parametrize(
    ("url", "why"),
    [("http://hooks.example.com/", "not https"), ("https://hooks.example.com:22/", "does not allow")],
)
def test_only_https_and_listed_ports_unless_the_operator_says_otherwise(post_of, url, why):
    post = post_of(webhook_loopback=False, webhook_attempts=1)
    post.resolve = lambda host, port: ["93.184.216.34"]
    post.hook(url)
    post.tell()
    with post.working():
        (attempt,) = post.attempted()
    assert why in attempt.error


def test_a_secret_that_cannot_be_opened_is_a_failed_attempt_that_says_so(post_of):
    post = post_of(webhook_attempts=1)
    with receiving() as receiver:
        post.hook(receiver.url)
        post.tell()
        (post.settings.home / "webhook.key").unlink()
        with post.working():
            (attempt,) = post.attempted()
    assert receiver.received == []
    assert "another key" in attempt.error


def test_an_old_message_is_signed_with_the_time_of_its_attempt(post_of):
    post = post_of()
    with receiving() as receiver:
        post.hook(receiver.url)
        post.tell()
        with write(post.engine) as conn:
            conn.execute(update(messages).values(created_at=1))
        with post.working():
            post.attempted()
    assert receiver.received[0].verify(SECRET)["timestamp"].startswith("1970")


def test_a_signature_is_stale_after_five_minutes():
    message = outbox.Message("msg_1", "whk_1", "t", "u", "webhook.test", {"id": "whk_1"}, 0, 1, ())
    body = body_of(message)
    for minutes, fresh in ((4, True), (6, False)):
        headers = headers_of(message, body, [SECRET], datetime.now(UTC) - timedelta(minutes=minutes))
        if fresh:
            assert Webhook(SECRET).verify(body, headers)["data"] == {"id": "whk_1", "object": "webhook"}
        else:
            with pytest.raises(WebhookVerificationError):
                Webhook(SECRET).verify(body, headers)


def test_pauses_grow_fourfold_with_jitter_up_to_the_cap_and_end():
    pauses = RetryPauses(attempts=14, first_seconds=5, longest_seconds=21_600)
    assert [pauses.after(n, jitter=0.5) for n in (1, 2, 3, 7, 8, 13)] == [5, 20, 80, 20_480, 21_600, 21_600]
    assert (pauses.after(2, jitter=0), pauses.after(2, jitter=0.75)) == (10, 25)
    assert pauses.after(9, jitter=0.99) == 21_600
    assert pauses.after(14, jitter=0.5) is None
    assert pauses.after(1, jitter=0.5, asked=600) == 600
    assert pauses.after(1, jitter=0.5, asked=10**9) == 21_600
    assert RetryPauses(5_000, 5, 60).after(4_000, jitter=0.5) == 60
