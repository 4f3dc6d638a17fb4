"""Any bytes are a STUN binding, which nobody authenticates without the password, or a StunError."""

from __future__ import annotations

from sfu.stun import StunError, parse, success_response, username_of

PASSWORD = "a password that is in no seed of the corpus"


def run(data: bytes) -> None:
    try:
        username_of(data)  # the first look, which decides whose budget the second is taken from
        check = parse(data)
    except StunError:
        return
    assert isinstance(check.username, str)
    assert 0 <= check.priority < 1 << 32
    assert len(check.transaction_id) == 12
    assert not check.is_authentic(PASSWORD)
    assert parse(success_response(check, ("192.0.2.1", 9), PASSWORD)).is_authentic(PASSWORD)
