"""Who read what, counted by day; by which reads a record was seen."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "usage",
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("department", sa.String(64), nullable=False),
        sa.Column("account", sa.String(100), nullable=False),
        sa.Column("dataset", sa.String(100), nullable=False),
        sa.Column("policy", sa.String(64), nullable=False),
        sa.Column("door", sa.String(16), nullable=False),
        sa.Column("purpose", sa.String(64), nullable=False),
        sa.Column("reads", sa.Integer, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("refused", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint(
            "day", "department", "account", "dataset", "policy", "door", "purpose", name="pk_usage"
        ),
    )
    op.create_index("ix_usage_dataset", "usage", ["dataset"])
    op.create_table(
        "counted",
        sa.Column("log", sa.String(16), nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("log", name="pk_counted"),
    )
    op.create_table(
        "looks",
        sa.Column("entry", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("digest", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("entry", "digest", name="pk_looks"),
    )
    op.create_index("ix_looks_digest", "looks", ["digest"])


def downgrade() -> None:
    for table in ("looks", "counted", "usage"):
        op.drop_table(table)
