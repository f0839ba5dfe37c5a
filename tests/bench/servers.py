"""The servers that are compared: how each is configured, started, stopped."""

import os
import resource
import shutil
import signal
import socket
import subprocess
import time
import urllib.request

GUARD = 20  # seconds to start or stop in


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def on_core(core):
    """For a process that is about to run: its core, and all descriptors."""
    def prepare():
        if core is not None:
            os.sched_setaffinity(0, {core})
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return prepare


class Server:
    """One server on ports of its own, with a directory for its files."""

    name = None
    dialect = None  # how `load` speaks to it, if not by its name
    missing = None  # why it cannot be run here

    def __init__(self, directory, settings):
        self.dir = directory
        self.settings = settings
        self.sub_port = free_port()
        self.pub_port = self.sub_port
        self.backend_port = free_port()  # of the application behind a proxy
        self.process = None

    def command(self):
        raise NotImplementedError

    def start(self, core):
        log = open(os.path.join(self.dir, "log"), "wb")
        with log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, preexec_fn=on_core(core))
        end = time.monotonic() + GUARD
        for port in (self.sub_port, self.pub_port):
            while not self._answers(port):
                if self.process.poll() is not None or time.monotonic() > end:
                    self.stop()
                    raise RuntimeError(
                        f"{self.name} does not start:\n{self.log()}")
                time.sleep(0.02)
        time.sleep(0.1)
        return self

    @staticmethod
    def _answers(port):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0

    def log(self):
        with open(os.path.join(self.dir, "log"), errors="replace") as f:
            return f.read()[-2000:]

    def pids(self):
        pid = self.process.pid
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            return [pid] + [int(child) for child in f.read().split()]

    def figures(self):
        """What it counted itself, where that tells something."""
        return {}

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(GUARD)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Limit(Server):
    name = "limit"
    program = None

    def command(self):
        return [self.program, str(self.sub_port)]


class Spillway(Server):
    name = "spillway"
    program = None
    workers = 1

    def command(self):
        self.pub_port = free_port()
        lines = {
            "listen": f'"127.0.0.1:{self.sub_port}"',
            "api-listen": f'"127.0.0.1:{self.pub_port}"',
            "workers": self.workers,
            "store": f'"{self.dir}/spillway.db"',
            "log-level": "warn",
            "web-root": '"off"',
            "backend": f'"http://127.0.0.1:{self.backend_port}"',
            "drain-time": '"0"',
        }
        lines.update(self.settings.get("spillway", {}))
        path = os.path.join(self.dir, "spillway.conf")
        with open(path, "w") as f:
            f.writelines(f"{key} = {value}\n" for key, value in lines.items())
        return [self.program, "-c", path]

    def figures(self):
        url = f"http://127.0.0.1:{self.pub_port}/metrics"
        with urllib.request.urlopen(url, timeout=GUARD) as answer:
            lines = answer.read().decode().splitlines()
        counts = dict(line.split(" ", 1) for line in lines
                      if not line.startswith("#"))
        # Every client that was given something from the store.
        return {"from_store":
                float(counts["spillway_catchup_reads_total"]) +
                float(counts["spillway_catchup_shared_total"])}


class TwoWorkers(Spillway):
    """Beside one of a single worker, both on all cores."""

    name = "two"
    dialect = "spillway"
    workers = 2


class Nchan(Server):
    """nginx with the nchan module of Debian, storage in memory."""

    name = "nchan"
    module = "/usr/lib/nginx/modules/ngx_nchan_module.so"

    def command(self):
        path = os.path.join(self.dir, "nginx.conf")
        scratch = "".join(
            f"    {kind}_temp_path {self.dir}/{kind};\n" for kind in
            ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        user = "user root;\n" if os.geteuid() == 0 else ""
        with open(path, "w") as f:
            f.write(f"""daemon off;
{user}worker_processes 1;
worker_rlimit_nofile {resource.getrlimit(resource.RLIMIT_NOFILE)[1]};
error_log {self.dir}/log warn;
pid {self.dir}/nginx.pid;
load_module {self.module};
events {{ worker_connections 19500; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 600;
    client_max_body_size 16m;
    client_body_buffer_size 1m;
{scratch}    nchan_shared_memory_size 512m;
    server {{
        listen 127.0.0.1:{self.sub_port} backlog=4096;
        nchan_channel_id $arg_c;
        nchan_message_buffer_length {self.settings.get("keep", 2000)};
        nchan_message_timeout 10m;
        nchan_subscriber_first_message oldest;
        nchan_longpoll_multipart_response on;
        location = /pub {{ nchan_publisher; }}
        location = /sub {{ nchan_subscriber websocket eventsource longpoll; }}
        location = /short {{ nchan_subscriber intervalpoll; }}
    }}
}}
""")
        return [self.nginx(), "-c", path, "-e", f"{self.dir}/log"]

    @staticmethod
    def nginx():
        return shutil.which(
            "nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")


class Nginx(Server):
    """nginx alone, as a reverse proxy that keeps its connections."""

    name = "nginx"

    def command(self):
        path = os.path.join(self.dir, "nginx.conf")
        scratch = "".join(
            f"    {kind}_temp_path {self.dir}/{kind};\n" for kind in
            ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        user = "user root;\n" if os.geteuid() == 0 else ""
        with open(path, "w") as f:
            f.write(f"""daemon off;
{user}worker_processes 1;
error_log {self.dir}/log warn;
pid {self.dir}/nginx.pid;
events {{ worker_connections 10000; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 600;
{scratch}    upstream application {{
        server 127.0.0.1:{self.backend_port};
        keepalive 512;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{self.sub_port} backlog=4096;
        location / {{
            proxy_pass http://application;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;
        }}
    }}
}}
""")
        return [Nchan.nginx(), "-c", path, "-e", f"{self.dir}/log"]


class Pushpin(Server):
    """Pushpin of Debian, with the zurl that it asks the backend by."""

    name = "pushpin"
    zurl = None

    def specs(self, *names):
        return [f"ipc://{self.dir}/{name}" for name in names]

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def start_zurl(self, core):
        ways = self.specs("zurl-in", "zurl-in-stream", "zurl-out", "zurl-req")
        path = self.write("zurl.conf", f"""[General]
in_spec={ways[0]}
in_stream_spec={ways[1]}
out_spec={ways[2]}
in_req_spec={ways[3]}
ipc_file_mode=660
defpolicy=allow
max_open_requests=2000
buffer_size=200000
timeout=600
""")
        with open(os.path.join(self.dir, "zurl.log"), "wb") as log:
            self.zurl = subprocess.Popen(
                ["zurl", f"--config={path}"], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, preexec_fn=on_core(core))

    def start(self, core):
        self.start_zurl(core)
        return super().start(core)

    def command(self):
        ways = self.specs("zurl-in", "zurl-in-stream", "zurl-out")
        with open("/usr/lib/pushpin/internal.conf") as f:
            internal = f.read().splitlines()
        for n, line in enumerate(internal):
            for name, spec in zip(("out_specs", "out_stream_specs",
                                   "in_specs"), ways):
                if line.startswith(f"zurl_{name}="):
                    internal[n] = f"zurl_{name}={spec}"
        inner = self.write("internal.conf", "\n".join(internal) + "\n")
        routes = self.write("routes", f"* 127.0.0.1:{self.backend_port},over_http\n")
        ports = [free_port() for _ in range(4)]
        return ["pushpin", "--config=" + self.write("pushpin.conf", f"""[global]
include={inner}
rundir={self.dir}
ipc_prefix=pushpin-
port_offset=0
stats_connection_ttl=120
[runner]
services=condure,pushpin-proxy,pushpin-handler
http_port=127.0.0.1:{self.sub_port}
logdir={self.dir}
log_level=1
client_buffer_size=8192
client_maxconn=10000
[proxy]
routesfile={routes}
set_x_forwarded_protocol=true
x_forwarded_for=append
[handler]
push_in_spec=tcp://127.0.0.1:{ports[0]}
push_in_sub_specs=tcp://127.0.0.1:{ports[1]}
command_spec=tcp://127.0.0.1:{ports[2]}
push_in_http_addr=127.0.0.1
push_in_http_port={ports[3]}
""")]

    def pids(self):
        return super().pids() + [self.zurl.pid]

    def stop(self):
        super().stop()
        self.zurl.terminate()
        self.zurl.wait(GUARD)


def servers(build, spillway):
    """Those that can be run here, and a sentence for each that cannot."""
    Limit.program = os.path.join(build, "tests/bench/limit")
    Spillway.program = spillway
    Spillway.workers = int(os.environ.get("WORKERS", "1"))
    if not os.access(Limit.program, os.X_OK):
        Limit.missing = f"{Limit.program} is not built"
    if not os.access(spillway, os.X_OK):
        Spillway.missing = f"{spillway} is not built (set SPILLWAY)"
    TwoWorkers.missing = Spillway.missing
    if Nchan.nginx() is None or not os.path.exists(Nchan.module):
        Nchan.missing = ("nginx with nchan is not installed "
                         "(Debian: nginx, libnginx-mod-nchan)")
    if Nchan.nginx() is None:
        Nginx.missing = "it is not installed (Debian: nginx-light)"
    if not shutil.which("pushpin") or not shutil.which("zurl"):
        Pushpin.missing = "it is not installed (Debian: pushpin, zurl)"
    return [Limit, Nchan, Nginx, Pushpin, Spillway, TwoWorkers]
