"""Contacts, notices and their deliveries."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MOMENT = sa.String(32)


def upgrade() -> None:
    op.create_table(
        "contacts",
        sa.Column("department", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("address", sa.String(500), nullable=False),
        sa.PrimaryKeyConstraint("department", "kind", "address", name="pk_contacts"),
    )
    op.create_table(
        "notices",
        sa.Column("id", sa.Integer, autoincrement=True, nullable=False),
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("department", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("request", sa.Integer, nullable=False),
        sa.Column("said", sa.JSON, nullable=False),
        sa.Column("made", MOMENT, nullable=False),
        sa.Column("read", MOMENT),
        sa.ForeignKeyConstraint(["request"], ["requests.number"], name="fk_notices_request_requests"),
        sa.PrimaryKeyConstraint("id", name="pk_notices"),
        sa.UniqueConstraint("key", name="uq_notices_key"),
    )
    op.create_index("ix_notices_department", "notices", ["department"])
    op.create_table(
        "deliveries",
        sa.Column("notice", sa.Integer, nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("address", sa.String(500), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("after", MOMENT, nullable=False),
        sa.Column("why", sa.String(200), nullable=False),
        sa.ForeignKeyConstraint(["notice"], ["notices.id"], name="fk_deliveries_notice_notices"),
        sa.PrimaryKeyConstraint("notice", "kind", "address", name="pk_deliveries"),
    )
    op.create_index("ix_deliveries_after", "deliveries", ["after"])


def downgrade() -> None:
    for table in ("deliveries", "notices", "contacts"):
        op.drop_table(table)
