"""TLS for two threads, one of which sends while the other receives.

OpenSSL's connections are for one thread at a time, and Python 3.11 does not see
to that: what both did at once came out broken now and then.
"""

import select
import ssl
import threading
import time


class TwoWaySocket(ssl.SSLSocket):
    """Never waits inside of OpenSSL, where only one thread is."""

    turn = None  # until the handshake is over

    @classmethod
    def _create(cls, *args, **kwargs):
        self = super()._create(*args, **kwargs)
        self.patience = self.gettimeout()
        ssl.SSLSocket.settimeout(self, 0)
        self.turn = threading.Lock()
        return self

    def settimeout(self, seconds):
        if self.turn is None:
            super().settimeout(seconds)
        else:
            self.patience = seconds

    def gettimeout(self):
        return super().gettimeout() if self.turn is None else self.patience

    def setblocking(self, flag):
        self.settimeout(None if flag else 0)

    def shutdown(self, how):
        """From now on what comes is taken as it is."""
        super().shutdown(how)
        self.turn = None
        self.settimeout(self.patience)

    def read(self, *args):
        return self._alternate(super().read, *args)

    def send(self, *args):
        return self._alternate(super().send, *args)

    def _alternate(self, operation, *args):
        if self.turn is None:
            return operation(*args)
        patience = self.gettimeout()
        end = None if patience is None else time.monotonic() + patience
        while True:
            try:
                with self.turn:
                    return operation(*args)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as e:
                if patience == 0:
                    raise
                ready = select.poll()
                ready.register(self, select.POLLIN if isinstance(
                    e, ssl.SSLWantReadError) else select.POLLOUT)
                if not ready.poll(None if end is None else max(
                        0, end - time.monotonic()) * 1000):
                    raise TimeoutError("timed out") from e
