"""Deliveries into recipients' own databases and folders, and their receipts; notices that are about no request."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

MOMENT = sa.String(32)
COUNTS = ("rows", "sent", "found", "inserted", "updated", "deleted", "altered")


def upgrade() -> None:
    op.create_table(
        "subscriptions",
        sa.Column("number", sa.Integer, autoincrement=True, nullable=False),
        sa.Column("request", sa.Integer),
        sa.Column("department", sa.String(64), nullable=False),
        sa.Column("dataset", sa.String(100), nullable=False),
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
        sa.ForeignKeyConstraint(["request"], ["requests.number"], name="fk_subscriptions_request_requests"),
        sa.PrimaryKeyConstraint("number", name="pk_subscriptions"),
    )
    op.create_index("ix_subscriptions_request", "subscriptions", ["request"])
    op.create_index("ix_subscriptions_dataset", "subscriptions", ["dataset"])
    op.create_table(
        "receipts",
        sa.Column("subscription", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("snapshot", sa.String(20), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in COUNTS),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("began", MOMENT, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["subscription"], ["subscriptions.number"], name="fk_receipts_subscription_subscriptions"
        ),
        sa.PrimaryKeyConstraint("subscription", "number", name="pk_receipts"),
    )
    with op.batch_alter_table("notices") as table:
        table.alter_column("request", existing_type=sa.Integer, nullable=True)


def downgrade() -> None:
    op.drop_table("receipts")
    op.drop_table("subscriptions")
    op.execute("DELETE FROM deliveries WHERE notice IN (SELECT id FROM notices WHERE request IS NULL)")
    op.execute("DELETE FROM notices WHERE request IS NULL")
    with op.batch_alter_table("notices") as table:
        table.alter_column("request", existing_type=sa.Integer, nullable=False)
