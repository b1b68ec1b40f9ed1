"""What the exchange's database holds, table by table. Its form is Alembic's (`exchange/migrations`); a test holds the
two against each other. Events are only ever added."""

from __future__ import annotations

import sqlalchemy as sa

METADATA = sa.MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)
MOMENT = sa.String(32)
"""Aware UTC, ISO 8601 with microseconds: the same text, and the same order, in every database. It is made by
`exchange.state.moment_text`."""


def _events(name: str, kind: str) -> sa.Table:
    """The events of a kind of case, whose number is in a column that is called after the kind. The primary key makes
    two people who act on one case at one time take turns: the second is told so."""
    return sa.Table(
        name,
        METADATA,
        sa.Column(kind, sa.ForeignKey(f"{kind}s.number"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("step", sa.String(32), nullable=False),
        sa.Column("by", sa.String(100), nullable=False),
        sa.Column("side", sa.String(16), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("said", sa.JSON, nullable=False),
    )


ACCOUNTS = sa.Table(
    "accounts",
    METADATA,
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("department", sa.String(64), nullable=False),
    sa.Column("roles", sa.JSON, nullable=False),
    sa.Column("password", sa.String(200)),
    sa.Column("closed", MOMENT),
    sa.Column("said", MOMENT),
)
"""`said`: of a person or system of the identity provider, when it said what department and roles are theirs."""
TOKENS = sa.Table(
    "tokens",
    METADATA,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("account", sa.ForeignKey("accounts.name"), nullable=False, index=True),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("note", sa.String(200), nullable=False),
    sa.Column("scopes", sa.JSON, nullable=False),
    sa.Column("made", MOMENT, nullable=False),
    sa.Column("expires", MOMENT, nullable=False),
    sa.Column("revoked", MOMENT),
    sa.Column("kind", sa.String(8), nullable=False),
)
REQUESTS = sa.Table(
    "requests",
    METADATA,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("dataset", sa.String(100), nullable=False),
    sa.Column("policy", sa.String(64), nullable=False),
    sa.Column("department", sa.String(64), nullable=False, index=True),
    sa.Column("provider", sa.String(64), nullable=False, index=True),
    sa.Column("basis", sa.Text, nullable=False),
    sa.Column("scenario", sa.Text, nullable=False),
    sa.Column("method", sa.String(16), nullable=False),
    sa.Column("until", MOMENT, nullable=False),
    sa.Column("columns", sa.JSON, nullable=False),
    sa.Column("division", sa.String(6), nullable=False),
    sa.Column("territory", sa.String(63), nullable=False),
)
EVENTS = _events("events", "request")
OBJECTIONS = sa.Table(
    "objections",
    METADATA,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("dataset", sa.String(100), nullable=False),
    sa.Column("zone", sa.String(8), nullable=False),
    sa.Column("policy", sa.String(64), nullable=False),
    sa.Column("department", sa.String(64), nullable=False, index=True),
    sa.Column("provider", sa.String(64), nullable=False, index=True),
    sa.Column("snapshot", sa.String(20), nullable=False),
    sa.Column("columns", sa.JSON, nullable=False),
    sa.Column("rows", sa.JSON, nullable=False),
    sa.Column("wrong", sa.Text, nullable=False),
    sa.Column("proposed", sa.Text, nullable=False),
)
OBJECTION_EVENTS = _events("objection_events", "objection")
APPLICATIONS = sa.Table(
    "applications",
    METADATA,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("dataset", sa.String(100), nullable=False),
    sa.Column("account", sa.String(100), nullable=False, index=True),
    sa.Column("provider", sa.String(64), nullable=False, index=True),
    sa.Column("applicant", sa.Text, nullable=False),
    sa.Column("use", sa.String(16), nullable=False),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("safeguards", sa.Text, nullable=False),
    sa.Column("until", MOMENT, nullable=False),
    sa.Column("conditions", sa.Text, nullable=False),
)
"""`conditions` are those of the catalogue that were accepted, as they stood."""
APPLICATION_EVENTS = _events("application_events", "application")
CONTACTS = sa.Table(
    "contacts",
    METADATA,
    sa.Column("department", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(8), primary_key=True),
    sa.Column("address", sa.String(500), primary_key=True),
)
"""Where notices to a department are sent; of the authority the department is empty."""
NOTICES = sa.Table(
    "notices",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("key", sa.String(200), nullable=False, unique=True),
    sa.Column("department", sa.String(64), nullable=False, index=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("request", sa.ForeignKey("requests.number")),
    sa.Column("objection", sa.ForeignKey("objections.number")),
    sa.Column("application", sa.ForeignKey("applications.number")),
    sa.Column("said", sa.JSON, nullable=False),
    sa.Column("made", MOMENT, nullable=False),
    sa.Column("read", MOMENT),
)
"""What a department is told, once: `key` says what it is about. It is of no case where a delivery of what is shared
without conditions failed, or reads were unusual."""
DELIVERIES = sa.Table(
    "deliveries",
    METADATA,
    sa.Column("notice", sa.ForeignKey("notices.id"), primary_key=True),
    sa.Column("kind", sa.String(8), primary_key=True),
    sa.Column("address", sa.String(500), primary_key=True),
    sa.Column("state", sa.String(8), nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("after", MOMENT, nullable=False, index=True),
    sa.Column("why", sa.String(200), nullable=False),
)
"""The outbox: a notice on its way to one address, tried again from `after` on until it is `sent`, or `given up`."""
SUBSCRIPTIONS = sa.Table(
    "subscriptions",
    METADATA,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("request", sa.ForeignKey("requests.number"), index=True),
    sa.Column("department", sa.String(64), nullable=False),
    sa.Column("dataset", sa.String(100), nullable=False, index=True),
    sa.Column("policy", sa.String(64), nullable=False),
    sa.Column("method", sa.String(8), nullable=False),
    sa.Column("connection", sa.String(64), nullable=False),
    sa.Column("place", sa.String(200), nullable=False),
    sa.Column("mode", sa.String(8), nullable=False),
    sa.Column("format", sa.String(8), nullable=False),
    sa.Column("keep", sa.Integer, nullable=False),
    sa.Column("by", sa.String(100), nullable=False),
    sa.Column("at", MOMENT, nullable=False),
    sa.Column("ended", MOMENT),
    sa.Column("holder", sa.String(200)),
    sa.Column("until", MOMENT),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("after", MOMENT, nullable=False),
)
"""What is to be delivered where, with every new snapshot (`exchange.subscriptions`); who is at it, and from when on it
is tried again. No secret is among it: the connection is a name."""
RECEIPTS = sa.Table(
    "receipts",
    METADATA,
    sa.Column("subscription", sa.ForeignKey("subscriptions.number"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("snapshot", sa.String(20), nullable=False),
    sa.Column("state", sa.String(8), nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("sent", sa.BigInteger, nullable=False),
    sa.Column("found", sa.BigInteger, nullable=False),
    sa.Column("inserted", sa.BigInteger, nullable=False),
    sa.Column("updated", sa.BigInteger, nullable=False),
    sa.Column("deleted", sa.BigInteger, nullable=False),
    sa.Column("altered", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("began", MOMENT, nullable=False),
    sa.Column("at", MOMENT, nullable=False),
)
"""What became of each delivery, failed ones too; only ever added."""

USAGE = sa.Table(
    "usage",
    METADATA,
    sa.Column("day", sa.String(10), primary_key=True),
    sa.Column("department", sa.String(64), primary_key=True),
    sa.Column("account", sa.String(100), primary_key=True),
    sa.Column("dataset", sa.String(100), primary_key=True, index=True),
    sa.Column("policy", sa.String(64), primary_key=True),
    sa.Column("door", sa.String(16), primary_key=True),
    sa.Column("purpose", sa.String(64), primary_key=True),
    sa.Column("reads", sa.Integer, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("refused", sa.Integer, nullable=False),
)
"""Counted from the audit log, which is what holds (`exchange.usage`)."""
COUNTED = sa.Table(
    "counted",
    METADATA,
    sa.Column("log", sa.String(16), primary_key=True),
    sa.Column("until", sa.BigInteger, nullable=False),
)
RISKS = sa.Table(
    "risks",
    METADATA,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("key", sa.String(400), nullable=False, unique=True),
    sa.Column("rule", sa.String(16), nullable=False),
    sa.Column("day", sa.String(10), nullable=False, index=True),
    sa.Column("department", sa.String(64), nullable=False),
    sa.Column("account", sa.String(100), nullable=False),
    sa.Column("policy", sa.String(64), nullable=False),
    sa.Column("datasets", sa.JSON, nullable=False),
    sa.Column("request", sa.ForeignKey("requests.number")),
    sa.Column("counted", sa.BigInteger, nullable=False),
    sa.Column("usual", sa.BigInteger, nullable=False),
    sa.Column("bound", sa.BigInteger, nullable=False),
    sa.Column("at", MOMENT, nullable=False),
)
"""What was found by watching the usage (`exchange.watching`), each thing once: `key` says what it is about."""
LOOKS = sa.Table(
    "looks",
    METADATA,
    sa.Column("entry", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("digest", sa.String(32), primary_key=True, index=True),
)
"""By which read (the index of its entry in the audit log) a record was seen, as a keyed digest (`exchange.looks`)."""
