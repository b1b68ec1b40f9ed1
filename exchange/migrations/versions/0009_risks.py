"""What was found by watching who read what."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

MOMENT = sa.String(32)


def upgrade() -> None:
    op.create_table(
        "risks",
        sa.Column("number", sa.Integer, autoincrement=True, nullable=False),
        sa.Column("key", sa.String(400), nullable=False),
        sa.Column("rule", sa.String(16), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("department", sa.String(64), nullable=False),
        sa.Column("account", sa.String(100), nullable=False),
        sa.Column("policy", sa.String(64), nullable=False),
        sa.Column("datasets", sa.JSON, nullable=False),
        sa.Column("request", sa.Integer),
        sa.Column("counted", sa.BigInteger, nullable=False),
        sa.Column("usual", sa.BigInteger, nullable=False),
        sa.Column("bound", sa.BigInteger, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["request"], ["requests.number"], name="fk_risks_request_requests"),
        sa.PrimaryKeyConstraint("number", name="pk_risks"),
        sa.UniqueConstraint("key", name="uq_risks_key"),
    )
    op.create_index("ix_risks_day", "risks", ["day"])


def downgrade() -> None:
    op.drop_table("risks")
    op.execute("DELETE FROM counted WHERE log = 'watch'")
    risky = "SELECT id FROM notices WHERE kind = 'risk'"
    op.execute(f"DELETE FROM deliveries WHERE notice IN ({risky})")
    op.execute("DELETE FROM notices WHERE kind = 'risk'")
