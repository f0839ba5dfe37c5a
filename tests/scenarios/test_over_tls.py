"""Stories that are told of plain connections, told again of encrypted ones."""

import unittest

import test_lifecycle
import test_polls
import test_same_stream
import test_slow_readers
import test_sse
import test_strict_http
import test_websocket
import test_ws_frames
from certificates import certificate
from gateway import Gateway, main

STORIES = (test_lifecycle, test_polls, test_same_stream, test_slow_readers,
           test_sse, test_strict_http, test_websocket, test_ws_frames)

Gateway.default_certificates = staticmethod(lambda: [certificate()])


def load_tests(loader, own, pattern):
    return unittest.TestSuite(loader.loadTestsFromModule(m) for m in STORIES)


if __name__ == "__main__":
    main()
