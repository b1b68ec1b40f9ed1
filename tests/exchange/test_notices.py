"""Notices: once each, to who is meant, by mail and webhook from real servers, again after a failure, without a text."""

from __future__ import annotations

import base64
import email
import email.policy
import http.server
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from exchange.contacts import add_contact, contacts, remove_contact
from exchange.desk import Desk
from exchange.errors import Forbidden, NotThere, Unfit
from exchange.notices import gather, inbox, mark_read
from exchange.requests import draft, take
from exchange.schema import DELIVERIES
from exchange.sending import WAITS, Mail, Post, mail_of, send
from lake.signing import load_signer
from pipelines.connections import from_environment
from schemas.errors import SettingsError
from schemas.settings import Settings
from tests.exchange.conftest import ASKER, AUDITOR, BUREAU, CHIEF, CLERK, HEAD, STRANGER, Clock, asked
from tests.waiting import together

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")
SECRET = "某某的私事"


def submitted(desk: Desk) -> int:
    number = draft(desk, ASKER, asked(scenario=SECRET, basis=SECRET)).number
    take(desk, HEAD, number, "approve", {})
    return number


def refused(desk: Desk, number: int) -> None:
    take(desk, CLERK, number, "propose", {"consent": False, "reason": SECRET})
    take(desk, CHIEF, number, "confirm", {})


def told(desk: Desk, who: object) -> list[tuple[str, str]]:
    return [(each.notice.kind, each.notice.about) for each in inbox(desk.state, who)]  # type: ignore[arg-type]


# ── what is told ──────────────────────────────────────────────────────────────────────────────────────────


def test_each_notice_is_told_once_to_whom_it_concerns(desk: Desk, clock: Clock) -> None:
    number = submitted(desk)
    assert gather(desk) == 1
    assert told(desk, CLERK) == [("turn", "approve 2")]
    assert told(desk, ASKER) == told(desk, BUREAU) == told(desk, STRANGER) == []
    clock.wait(days=10)  # 2026-03-12, two working days before the last, 03-16
    assert gather(desk) == 1
    assert told(desk, CLERK)[0] == ("remind", "reply")
    assert gather(desk) == 0
    clock.wait(days=5)
    assert gather(desk) == 2, "who is late is told so, too"
    assert told(desk, BUREAU) == [("escalate", "reply")]
    assert told(desk, CLERK)[0] == ("escalate", "reply")
    assert gather(desk) == 0
    refused(desk, number)
    assert gather(desk) == 1
    assert told(desk, HEAD) == [("outcome", "confirm 4")]
    assert gather(desk) == 0


def test_nobody_is_told_that_it_is_their_turn_when_it_is_no_more(desk: Desk) -> None:
    """All of it within a quarter of an hour: the provider has answered before anything was gathered."""
    refused(desk, submitted(desk))
    assert gather(desk) == 1
    assert told(desk, CLERK) == [] and told(desk, ASKER) == [("outcome", "confirm 4")]


def test_the_second_person_of_a_side_is_told_that_it_is_their_turn(desk: Desk) -> None:
    number = draft(desk, ASKER, asked()).number
    assert gather(desk) == 1 and told(desk, HEAD) == [("turn", "draft 1")]
    take(desk, HEAD, number, "approve", {})
    take(desk, CLERK, number, "propose", {"consent": True, "reason": "可"})
    assert gather(desk) == 1 and told(desk, CHIEF) == [("turn", "propose 3")]
    take(desk, CHIEF, number, "send_back", {"reason": "再议"})
    assert gather(desk) == 1 and told(desk, CLERK)[0] == ("turn", "send_back 4")


def test_a_grant_that_ends_is_told_before_and_when_it_has(desk: Desk, clock: Clock) -> None:
    number = draft(desk, ASKER, asked(until="2026-04-30T00:00:00+08:00")).number
    take(desk, HEAD, number, "approve", {})
    take(desk, CLERK, number, "propose", {"consent": True, "reason": "可"})
    take(desk, CHIEF, number, "confirm", {})
    take(desk, CLERK, number, "deliver", {})
    gather(desk)
    clock.wait(days=50)
    gather(desk)
    assert told(desk, ASKER)[0] == ("ends", "until")
    clock.wait(days=10)
    gather(desk)
    assert told(desk, ASKER)[0] == ("outcome", "expired")
    assert gather(desk) == 0


def test_two_that_gather_at_once_tell_it_once(desk: Desk) -> None:
    submitted(desk)
    gate, counts = threading.Barrier(3, timeout=60), []

    def at_once() -> None:
        gate.wait()
        counts.append(gather(desk))

    threads = [threading.Thread(target=at_once) for _ in range(3)]
    together(*threads)
    assert sum(counts) == 1
    assert len(told(desk, CLERK)) == 1


def test_an_inbox_is_its_departments(desk: Desk, clock: Clock) -> None:
    submitted(desk)
    gather(desk)
    (kept,) = inbox(desk.state, CLERK)
    with pytest.raises(NotThere):
        mark_read(desk.state, STRANGER, kept.id, clock())
    with pytest.raises(Forbidden):
        inbox(desk.state, AUDITOR)
    assert inbox(desk.state, CLERK, read=True) == []
    mark_read(desk.state, CHIEF, kept.id, clock())
    assert inbox(desk.state, CLERK, unread=True) == []
    assert inbox(desk.state, CLERK)[0].read == clock()
    assert inbox(desk.state, CLERK, read=True) == inbox(desk.state, CLERK)


@pytest.mark.parametrize(
    ("channel", "address"),
    [
        ("email", "office"),
        ("email", "a@b\r\nBcc: c@d"),
        ("email", "a@b, c@d"),
        ("webhook", "ftp://host/x"),
        ("webhook", "https://user:secret@host/x"),
        ("webhook", "https:///x"),
        ("fax", "1234"),
    ],
)
def test_an_address_that_is_none_is_refused(desk: Desk, channel: str, address: str) -> None:
    with pytest.raises(Unfit) as refusal:
        add_contact(desk.state, "health", channel, address)
    assert "secret" not in str(refusal.value)
    assert contacts(desk.state) == []


# ── by mail ───────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Postbox:
    """An SMTP server's handler; what `refuse` names is answered with that."""

    got: list[tuple[list[str], bytes]] = field(default_factory=list)
    refuse: str = ""

    async def handle_DATA(self, server: object, session: object, envelope: object) -> str:
        if self.refuse:
            return self.refuse
        self.got.append((envelope.rcpt_tos, envelope.content))  # type: ignore[attr-defined]
        return "250 OK"


class _AnyPort(Controller):
    """On a port that the system chooses: the controller itself tries the one that it was told."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        with socket.create_connection((self.hostname, self.port), 60) as first:
            first.recv(1024)


@pytest.fixture
def postbox() -> Iterator[tuple[Postbox, Mail]]:
    box = Postbox()

    def login(server: object, session: object, envelope: object, mechanism: str, data: object) -> AuthResult:
        said = (getattr(data, "login", b""), getattr(data, "password", b""))
        return AuthResult(success=said == (b"xuanwu", b"p@ss"), handled=False)

    controller = _AnyPort(
        box,
        hostname="127.0.0.1",
        port=0,
        authenticator=login,
        auth_required=True,
        auth_require_tls=False,
        ready_timeout=60,
    )
    controller.start()
    url = f"smtp://xuanwu:p%40ss@127.0.0.1:{controller.port}?from=exchange@city.example&tls=none"
    mail = mail_of(lambda name: {"xuanwu_smtp": url}[name])
    assert mail is not None
    yield box, mail
    controller.stop()


@pytest.fixture
def post(settings: Settings, postbox: tuple[Postbox, Mail]) -> Post:
    return Post(postbox[1], load_signer(settings, from_environment))


def test_mail_in_both_languages_once_and_no_word_of_the_request(
    desk: Desk, postbox: tuple[Postbox, Mail], post: Post
) -> None:
    add_contact(desk.state, "civil_affairs", "email", "office@civil.example")
    add_contact(desk.state, "civil_affairs", "email", "office@civil.example")
    number = submitted(desk)
    gather(desk)
    refused(desk, number)
    gather(desk)
    assert send(desk, post).sent == 1
    assert send(desk, post).sent == 0
    ((to, content),) = postbox[0].got
    message = email.message_from_bytes(content, policy=email.policy.default)
    text = message["Subject"] + message.get_content()
    assert to == ["office@civil.example"]
    assert message["Auto-Submitted"] == "auto-generated"
    assert "共享申请1：待办：已提交" in text
    assert "婚姻登记信息" in text
    assert "Marriage registrations (civil_affairs.marriage, policy default)" in text
    assert SECRET not in text
    assert "asker" not in text


def test_what_fails_is_tried_again_later_then_given_up(
    desk: Desk, clock: Clock, postbox: tuple[Postbox, Mail], post: Post
) -> None:
    add_contact(desk.state, "civil_affairs", "email", "office@civil.example")
    submitted(desk)
    gather(desk)
    postbox[0].refuse = "451 try again"
    assert send(desk, post).later == 1
    assert send(desk, post).later == 0
    clock.wait(minutes=1)
    postbox[0].refuse = ""
    assert send(desk, post).sent == 1
    assert len(postbox[0].got) == 1
    refused(desk, 1)
    add_contact(desk.state, "health", "email", "office@health.example")
    gather(desk)
    postbox[0].refuse = "550 no"
    for wait in WAITS:
        assert (lambda done: (done.later, done.given_up))(send(desk, post)) == (1, 0)
        clock.now += wait
    assert send(desk, post).given_up == 1
    clock.wait(days=3)
    assert send(desk, post) == type(send(desk, post))()
    assert len(inbox(desk.state, ASKER)) == 1


@pytest.mark.filterwarnings("error::ResourceWarning")  # no connection is left open
def test_a_server_that_is_away_or_refuses_the_password(
    desk: Desk, clock: Clock, postbox: tuple[Postbox, Mail], post: Post
) -> None:
    add_contact(desk.state, "civil_affairs", "email", "office@civil.example")
    submitted(desk)
    gather(desk)
    mail = postbox[1]
    assert "p@ss" not in repr(mail)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = closed.getsockname()[1]
    for changed, why in (
        ({"password": "wrong"}, "the mail server said 535"),
        ({"port": nobody}, "ConnectionRefusedError"),
        ({"tls": "starttls"}, "SMTPNotSupportedError"),
    ):
        assert send(desk, Post(replace(mail, **changed), post.signer)).later == 1
        assert reasons(desk) == [why]
        clock.wait(hours=1)
    assert send(desk, Post(None, post.signer)).later == 0
    assert postbox[0].got == []


def reasons(desk: Desk) -> list[str]:
    """Why each delivery was not sent."""
    with desk.state.begin() as connection:
        return list(connection.execute(sa.select(DELIVERIES.c.why)).scalars())


def test_who_dies_between_sending_and_noting_it_sends_the_same_message_again(
    desk: Desk, clock: Clock, postbox: tuple[Postbox, Mail], post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_contact(desk.state, "civil_affairs", "email", "office@civil.example")
    submitted(desk)
    gather(desk)
    with monkeypatch.context() as killed:
        killed.setattr("exchange.sending._note", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            send(desk, post)
    assert send(desk, post).sent == 0  # it is claimed
    clock.wait(minutes=11)
    assert send(desk, post).sent == 1
    first, second = (email.message_from_bytes(content) for _, content in postbox[0].got)
    assert first["Message-ID"] == second["Message-ID"]


@pytest.mark.parametrize(
    "url",
    ["http://host", "smtp://host", "smtp://?from=a@b", "smtp://h:x?from=a@b", "smtp://h?from=a@b&tls=maybe"],
)
def test_a_malformed_connection_is_told_without_its_password(url: str) -> None:
    with pytest.raises(SettingsError, match="xuanwu_smtp") as error:
        mail_of(lambda _: url.replace("://", "://u:secret@"))
    assert "secret" not in str(error.value)


# ── by webhook ────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Hook:
    url: str
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answer: int = 200


@pytest.fixture
def hook() -> Iterator[Hook]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(found.answer)
            self.send_header("location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Hook(f"http://127.0.0.1:{server.server_port}/hook")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield found
    server.shutdown()
    thread.join(60)
    server.server_close()


def test_a_webhook_is_signed_with_the_platforms_key(desk: Desk, hook: Hook, post: Post) -> None:
    add_contact(desk.state, "civil_affairs", "webhook", hook.url)
    number = submitted(desk)
    gather(desk)
    assert send(desk, post).sent == 1
    ((headers, body),) = hook.got
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    kind, _, signature = headers["webhook-signature"].partition(",")
    assert kind == "v1a"
    (key,) = post.signer.trust.keys.values()
    key.verify(base64.b64decode(signature), signed)
    said = json.loads(body)
    assert said["type"] == "request.turn"
    assert said["data"]["request"] == number
    assert SECRET not in body.decode()


@pytest.mark.parametrize("answer", [302, 404, 500])
def test_another_answer_than_success_is_tried_again_and_no_redirect_followed(
    desk: Desk, clock: Clock, hook: Hook, post: Post, answer: int
) -> None:
    add_contact(desk.state, "civil_affairs", "webhook", hook.url)
    submitted(desk)
    gather(desk)
    hook.answer = answer
    assert send(desk, post).later == 1
    assert len(hook.got) == 1
    hook.answer = 204
    clock.now += timedelta(minutes=2)
    assert send(desk, post).sent == 1
    ids = {headers["webhook-id"] for headers, _ in hook.got}
    assert len(ids) == 1


def test_a_contact_that_is_removed_gets_nothing_that_waits(desk: Desk, hook: Hook, post: Post) -> None:
    add_contact(desk.state, "civil_affairs", "webhook", hook.url)
    submitted(desk)
    gather(desk)
    remove_contact(desk.state, "civil_affairs", "webhook", hook.url)
    assert send(desk, post).sent == 0
    assert hook.got == []
    with pytest.raises(NotThere):
        remove_contact(desk.state, "civil_affairs", "webhook", hook.url)
