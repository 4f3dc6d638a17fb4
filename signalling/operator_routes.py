"""Where operators find what is theirs, on the main port and on a listener of their own, and behind which gates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from .admin import Admin
from .admin_circuits import CircuitAdmin
from .admin_tokens import AdminTokens
from .config import Settings, is_loopback
from .gates import Gate, LocalGate, OpenGate, TokenGate
from .operators import Operators
from .responses import http_error


@dataclass(frozen=True, slots=True)
class OperatorRoutes:
    """All endpoints for operators, at the places that the settings give them."""

    settings: Settings
    operators: Operators
    admin: Admin
    circuits: CircuitAdmin

    def beside_the_page(self) -> list[BaseRoute]:
        """What is on the main port: in dev mode all, and with admin keys all to who shows a token."""
        if self.settings.dev_mode:
            return self._all(OpenGate(), LocalGate(self.operators.counts))
        if self.settings.admin_keys:
            shown = self._token_gate()
            return self._all(shown, shown)
        return []

    def on_their_listener(self) -> list[BaseRoute]:
        """What is on the listener of theirs: beyond this machine, rooms are changed by who shows a token only."""
        if self.settings.operators is not None and is_loopback(self.settings.operators.host):
            return self._all(OpenGate(), LocalGate(self.operators.counts))
        return self._all(OpenGate(), self._token_gate())

    def _all(self, reading: Gate, changing: Gate) -> list[BaseRoute]:
        return [*self.operators.routes(reading), *self.admin.routes(changing), *self.circuits.routes(changing)]

    def _token_gate(self) -> TokenGate:
        keys = self.settings.admin_keys
        return TokenGate(AdminTokens(keys) if keys else None, self.operators.counts)


def application(routes: Sequence[BaseRoute], middleware: Sequence[Middleware]) -> Starlette:
    """What is served on a listener for operators alone."""
    return Starlette(routes=routes, middleware=middleware, exception_handlers={HTTPException: http_error})
