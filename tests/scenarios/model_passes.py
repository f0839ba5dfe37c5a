"""Tokens of the guests of whom the backend is told."""

import fnmatch
import time

from model_log import NEVER
from tokens import bearer, token

EARLY = 0.1     # seconds: what the end of a token may be off


class Pass:
    """A token for some of the channels that ask for one; or none."""

    def __init__(self, user=None, subscribe=("*",), expires=False):
        self.user, self.subscribe = user, subscribe
        self.text, self.ends = None, NEVER
        if user is None:
            return
        now, claims = time.time(), {}
        if expires:
            claims["exp"] = int(now + 1)    # fractions do not count
            self.ends = time.monotonic() + claims["exp"] - now
        self.text = token(subscribe=subscribe, expires=None, sub=user, **claims)

    def __repr__(self):
        return f"pass of {self.user} for {self.subscribe} until {self.ends:.3f}"

    @property
    def headers(self):
        return bearer(self.text) if self.text else []

    def allows(self, channel):
        return not needs_pass(channel) or self.user is not None and any(
            fnmatch.fnmatch(channel, p) for p in self.subscribe)

    def may_have_ended(self, by=None):
        return self.ends <= (time.monotonic() if by is None else by) + EARLY


def needs_pass(channel):
    return channel.startswith("sworn")


def random_pass(chance, user):
    return Pass(user, chance.choice((("*",), ("*",), ("*-1", "*-2"))),
                chance.random() < 0.4)
