"""Analyses that are extended: how often, and of which revision the result is."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "analyses", sa.Column("revision", sa.Integer(), server_default=sa.text("1"), nullable=False)
    )
    op.add_column("analyses", sa.Column("result_revision", sa.Integer(), nullable=True))
    op.add_column("analyses", sa.Column("extended_at", sa.BigInteger(), nullable=True))
    op.execute("UPDATE analyses SET result_revision = 1 WHERE CAST(artifacts AS TEXT) <> '{}'")
