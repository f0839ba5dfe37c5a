#!/usr/bin/env python3
"""A backend for Spillway: a chat room, and an event a second.

    app.py [--listen HOST:PORT] [--secret FILE] [--tick URL CHANNEL]

The standard library is all it needs. The gateway passes on to it what is not
its own: the page /chat. And it tells it, at /spillway-events, who comes, what
they say and who goes; what this answers is published, or shown to the client.
The gateway's signature (Standard Webhooks) says that it is the gateway. With
--tick it also publishes an event a second there; see ticker.py.

Ends at SIGTERM and SIGINT.
"""

import argparse
import base64
import hashlib
import hmac
import http.cookies
import http.server
import json
import logging
import sys
import threading
import time
import urllib.parse

import ticker

PAGE = """<!doctype html>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>A chat behind Spillway</title>
<style>li { overflow-wrap: anywhere }</style>
<script src="/spillway/spillway.js"></script>
<ul id="said"></ul>
<form id="say"><input id="text" aria-label="Message" autofocus maxlength="500"> <button>Say</button>
</form>
<script>
document.cookie = 'name=' + encodeURIComponent(
	prompt('What is your name?') || 'somebody') + '; path=/; SameSite=Lax';
var stream = new Spillway.Stream('/stream/chat');
stream.onmessage = function (event) {
	var line = document.createElement('li'), said = event.data;
	line.textContent = said.from + (said.text === undefined ?
		' ' + said.does : ': ' + said.text);
	document.getElementById('said').appendChild(line);
};
document.getElementById('say').onsubmit = function () {
	var text = document.getElementById('text');
	stream.send({ text: text.value });
	text.value = '';
	return false;
};
</script>
"""

log = logging.getLogger("app")


class Chat:
    """What each kind of event is answered with: status and JSON, or None."""

    def __init__(self, secret):
        self.key = base64.b64decode(secret.removeprefix("whsec_"))

    def signed(self, headers, body):
        """By the gateway, and not long ago (Standard Webhooks)."""
        when = headers.get("webhook-timestamp", "")
        text = f"{headers.get('webhook-id')}.{when}.".encode() + body
        want = base64.b64encode(
            hmac.digest(self.key, text, hashlib.sha256)).decode()
        return when.isdigit() and abs(time.time() - int(when)) < 300 and any(
            hmac.compare_digest(f"v1,{want}", one)
            for one in headers.get("webhook-signature", "").split())

    def answer(self, headers, body):
        kind = headers.get("ce-type", "").removeprefix("spillway.")
        user = urllib.parse.unquote(headers.get("ce-user", "somebody"))
        if kind == "connect":
            cookies = http.cookies.SimpleCookie(headers.get("Cookie", ""))
            name = cookies["name"].value if "name" in cookies else "somebody"
            return 200, {"reply": {"user": urllib.parse.unquote(name)[:40]}}
        if kind == "message":
            said = json.loads(body)
            text = said.get("text") if isinstance(said, dict) else None
            if not isinstance(text, str) or not text.strip():
                return 422, {"detail": "Say {\"text\": \"something\"}."}
            return 200, {"publish": [{"channel": "chat", "data": {
                "from": user, "text": text[:500]}}]}
        does = {"subscribe": "comes in", "disconnect": "leaves"}.get(kind)
        if does is None:
            return 204, None
        return 200, {"publish": [{"channel": "chat", "data": {
            "from": user, "does": does}}]}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    chat = None

    def reply(self, status, kind="text/plain", body=b""):
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status != 204:
            self.wfile.write(body)

    def do_GET(self):
        if self.path.partition("?")[0] == "/chat":
            self.reply(200, "text/html; charset=utf-8", PAGE.encode())
        else:
            self.reply(404, body=b"The chat is at /chat.\n")

    def do_POST(self):
        length = self.headers.get("Content-Length", "0")
        body = self.rfile.read(int(length) if length.isdigit() else 0)
        if self.path != "/spillway-events":
            self.reply(404)
        elif not self.chat.signed(self.headers, body):
            self.reply(401, body=b"This is not signed by the gateway.\n")
        else:
            try:
                status, answer = self.chat.answer(self.headers, body)
            except ValueError:
                status, answer = 422, {"detail": "That is no JSON."}
            self.reply(status, "application/spillway+json",
                       json.dumps(answer).encode())

    def log_message(self, *line):
        log.debug(*line)


def main():
    parser = argparse.ArgumentParser(
        description="A chat room behind Spillway, and an event a second.")
    parser.add_argument("--listen", default="127.0.0.1:8082")
    parser.add_argument("--secret", required=True, metavar="FILE",
                        help="the gateway's bridge-secret is its first line")
    parser.add_argument("--tick", nargs=2, metavar=("URL", "CHANNEL"))
    options = parser.parse_args()

    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s",
                        level=logging.INFO)
    with open(options.secret, encoding="ascii") as f:
        Handler.chat = Chat(f.readline().strip())
    host, _, port = options.listen.rpartition(":")
    server = http.server.ThreadingHTTPServer((host, int(port)), Handler)
    server.daemon_threads = True
    stop = ticker.told_to_stop()
    threads = [threading.Thread(target=server.serve_forever)]
    if options.tick:
        threads.append(threading.Thread(target=ticker.tick, args=(
            ticker.Publisher(*options.tick), 1, stop)))
    for thread in threads:
        thread.start()
    log.info("the chat listens at %s", options.listen)
    stop.wait()
    server.shutdown()
    for thread in threads:
        thread.join()
    return 0


if __name__ == "__main__":
    sys.exit(main())
