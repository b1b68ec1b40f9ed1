"""What an operator does at the shell with accounts, tokens, contacts and deliveries: it stands in the audit log, with
who did it.

What gives somebody something is logged in the transaction that gives it: where the log cannot be written it is not
given. What ends something holds at once, and is logged then; whoever does it is told where that cannot be. Entries hold
names, roles, scopes and ids: never a password, the text of a token, or an address.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from exchange import accounts, contacts
from exchange.accounts import Token
from exchange.state import State
from lake.auditlog import AuditLog


@dataclass(frozen=True)
class Shell:
    """A shell of this machine; `by` is its user."""

    state: State
    log: AuditLog
    clock: Callable[[], datetime]
    by: str

    def _note(self, action: str, phase: str, **more: Any) -> None:
        self.log.append({"action": action, "phase": phase, "by": self.by, "at_shell": True, **more})

    def open_account(
        self, name: str, department: str, roles: Iterable[str], password: str | None = None
    ) -> None:
        """As `exchange.accounts.open_account`."""
        roles = list(roles)

        def beside() -> None:
            has = password is not None
            said = {"account": name, "department": department, "roles": roles, "password": has}
            self._note("account", "opened", **said)

        accounts.open_account(self.state, name, department, roles, password, beside=beside)

    def close_account(self, name: str) -> None:
        accounts.close_account(self.state, name, self.clock())
        self._note("account", "closed", account=name)

    def make_token(
        self, account: str, note: str, scopes: Iterable[str], lasts: timedelta
    ) -> tuple[str, Token]:
        """As `exchange.accounts.make_token`."""

        def beside(made: Token) -> None:
            scopes, expires = list(made.scopes), made.expires.isoformat()
            self._note("token", "made", account=account, token=made.id, scopes=scopes, expires=expires)

        now = self.clock()
        return accounts.make_token(self.state, account, note, scopes, now=now, lasts=lasts, beside=beside)

    def revoke_token(self, ident: str) -> None:
        accounts.revoke_token(self.state, ident, self.clock())
        self._note("token", "revoked", token=ident)

    def add_contact(self, department: str, channel: str, address: str) -> None:
        """As `exchange.contacts.add_contact`."""

        def beside() -> None:
            self._note("contact", "added", **self._contact(department, channel, address))

        contacts.add_contact(self.state, department, channel, address, beside=beside)

    def remove_contact(self, department: str, channel: str, address: str) -> None:
        contacts.remove_contact(self.state, department, channel, address)
        self._note("contact", "removed", **self._contact(department, channel, address))

    def deliver(self, numbers: Iterable[int]) -> None:
        """These deliveries are about to be made by hand. LakeError where it cannot be logged: then none is."""
        self._note("delivery", "by hand", subscriptions=list(numbers))

    def _contact(self, department: str, channel: str, address: str) -> dict[str, str]:
        return {"department": department, "channel": channel, "address": self.log.digest(address)}
