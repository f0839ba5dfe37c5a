"""Our own client behind the proxies of Debian: the best way that works."""

import os
import re
import shutil
import socket
import subprocess
import tempfile

from gateway import GUARD, Scenario, WebSocket, Wire, main, request_head
from test_client import ALL, Follower
from test_documents import document

NGINX = """
daemon off;
pid {place}/nginx.pid;
error_log {place}/error.log;
events {{ }}
http {{
	access_log off;
	client_body_temp_path {place}/body;
	proxy_temp_path {place}/proxy;
	fastcgi_temp_path {place}/fastcgi;
	uwsgi_temp_path {place}/uwsgi;
	scgi_temp_path {place}/scgi;
	server {{
		listen 127.0.0.1:{port};
		location / {{
			proxy_pass http://127.0.0.1:{gateway};
			{more}
		}}
	}}
}}
"""
HAPROXY = """
global
	log /dev/null local0
defaults
	mode http
	timeout connect 5s
	timeout client 5m
	timeout server 5m
	timeout tunnel 5m
frontend in
	bind 127.0.0.1:{port}
	{more}
	default_backend gateway
backend gateway
	server gateway 127.0.0.1:{gateway}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class BehindProxies(Scenario):
    conf = 'retry = "100ms"\nchannel "own" { send = publish }'

    def proxy(self, program, template, more):
        """Started in front of the gateway; returns its port."""
        path = shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin")
        self.assertTrue(path, f"{program} is missing: apt-get install it")
        place = tempfile.mkdtemp(prefix="spillway-proxy-")
        self.addCleanup(shutil.rmtree, place, ignore_errors=True)
        port, conf = free_port(), os.path.join(place, "conf")
        with open(conf, "w", encoding="ascii") as f:
            f.write(template.format(place=place, port=port, more=more,
                                    gateway=self.gateway.port))
        command = [path, "-c", conf] if program == "nginx" else \
            [path, "-db", "-f", conf]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)

        def end():
            process.terminate()
            process.wait(GUARD)
        self.addCleanup(end)

        def listens():
            self.assertIsNone(process.poll(), f"{program} has ended")
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", port)) == 0
        self.gateway.until(listens, f"{program} listening")
        return port

    def arrives(self, expected, *proxy):
        """It says which transport it uses, and why no better one."""
        g = self.gateway
        f = Follower(self.proxy(*proxy), ALL)
        self.addCleanup(f.close)

        def arrived():
            return [m for m in f.all("transport")
                    if m["transport"] == expected]
        # A slow machine may see a lesser one before.
        f.until(arrived)
        ids = [g.publish("a", n)["id"] for n in range(20)]
        f.until(lambda: len(f.messages) >= len(ids))
        g.kill9()
        g.start()
        ids += [g.publish("a", "again")["id"] for _ in range(20)]
        f.until(lambda: len(f.messages) >= len(ids))
        self.assertEqual([m[0] for m in f.messages], ids)
        self.assertEqual(f.all("gap"), [])
        return arrived()[0]["failed"]

    def test_haproxy_passes_a_websocket(self):
        failed = self.arrives("ws", "haproxy", HAPROXY, "")
        self.assertNotIn("ws", failed)

    def test_a_proxy_that_strips_the_upgrade_leaves_sse(self):
        failed = self.arrives("sse", "haproxy", HAPROXY,
                              "http-request del-header Upgrade")
        self.assertIn("ws", failed)

    def own_page(self, port):
        """How a WebSocket and a message of a page from there are answered."""
        def answer(headers, method="GET", body=b""):
            wire = Wire(port)
            self.addCleanup(wire.close)
            head = request_head("/stream/own", headers + [
                ("Origin", f"http://127.0.0.1:{port}")], method=method)
            wire.send(head.replace(b"Host: test",
                                   b"Host: 127.0.0.1:%d" % port) + body)
            return wire.response()

        ws = answer([("Upgrade", "websocket"), ("Connection", "Upgrade"),
                     ("Sec-WebSocket-Key", WebSocket.KEY),
                     ("Sec-WebSocket-Version", "13")])
        post = answer([("Content-Length", "1")], "POST", b"1")
        return ws[0], post[0], post[2]

    def test_nginx_as_the_readme_has_it_passes_pages_of_our_own(self):
        block = re.search(r"^```nginx\nlocation / {\n(.*?)^}\n```$",
                          document("README.md"), re.M | re.S)[1]
        more = "".join(l for l in block.splitlines(True)
                       if "proxy_pass" not in l)
        port = self.proxy("nginx", NGINX, more)
        self.assertEqual(self.own_page(port)[:2], (101, 201))
        self.assertNotIn("ws", self.arrives("ws", "nginx", NGINX, more))

    def test_haproxy_as_it_comes_passes_pages_of_our_own(self):
        port = self.proxy("haproxy", HAPROXY, "")
        self.assertEqual(self.own_page(port)[:2], (101, 201))

    def test_a_proxy_with_a_host_of_its_own_is_told_of(self):
        ws, post, body = self.own_page(self.proxy("nginx", NGINX, """
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $http_connection;"""))
        self.assertEqual((ws, post), (403, 403))
        self.assertIn(b"pass on the Host", body)

    def test_nginx_as_it_comes_leaves_sse(self):
        failed = self.arrives("sse", "nginx", NGINX, "")
        self.assertIn("ws", failed)

    def test_nginx_that_is_told_to_passes_a_websocket(self):
        failed = self.arrives("ws", "nginx", NGINX, """
			proxy_http_version 1.1;
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection upgrade;""")
        self.assertNotIn("ws", failed)

    def test_a_proxy_that_buffers_streams_leaves_long_polls(self):
        failed = self.arrives("long", "nginx", NGINX, """
			proxy_buffering on;
			proxy_ignore_headers X-Accel-Buffering;""")
        self.assertIn("ws", failed)


if __name__ == "__main__":
    main()
