"""The programs that are compared: how each is configured and started, on one worker and one processor core.

Every proxy listens on ports of its own, HTTP, TLS (HTTP/1.1 and HTTP/2, one P-256 certificate, tickets) and TCP, and passes everything on to one origin. Logs are off everywhere,
keep-alive is on towards clients and towards the origin, and no proxy limits the requests of a connection.
"""

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess

START_S = 15.0
STOP_S = 15.0
POLL_S = 0.02
PR_SET_PDEATHSIG = 1

NGINX = """
daemon off;
user {user};
worker_processes 1;
pid {dir}/nginx.pid;
error_log {dir}/nginx.log error;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    keepalive_requests 1000000000;
    upstream origin {{
        server 127.0.0.1:{origin};
        keepalive 128;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{http};
        listen 127.0.0.1:{tls} ssl http2;
        ssl_certificate {pem};
        ssl_certificate_key {pem};
        ssl_protocols TLSv1.2 TLSv1.3;
        location / {{
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }}
    }}
}}
"""

HAPROXY = """
global
    nbthread 1
    maxconn 4000
defaults
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    {splice}
frontend http_in
    mode http
    bind 127.0.0.1:{http}
    bind 127.0.0.1:{tls} ssl crt {pem} alpn h2,http/1.1
    option forwardfor
    default_backend http_out
backend http_out
    mode http
    http-reuse always
    server origin 127.0.0.1:{origin}
listen tcp_in
    mode tcp
    bind 127.0.0.1:{tcp}
    server origin 127.0.0.1:{origin}
"""

H2O = """
user: {user}
num-threads: 1
pid-file: {dir}/h2o.pid
error-log: {dir}/h2o.errors
max-connections: 4096
listen:
  host: 127.0.0.1
  port: {http}
listen:
  host: 127.0.0.1
  port: {tls}
  ssl:
    certificate-file: {pem}
    key-file: {pem}
    minimum-version: TLSv1.2
proxy.preserve-host: ON
hosts:
  default:
    paths:
      "/":
        proxy.reverse.url: "http://127.0.0.1:{origin}/"
"""

BALLAST = """
workers = 1
user = "{user}"
pid_file = "{dir}/ballast.pid"
log = {{ level = "warning" }}
admin = {{ bind = "unix:{dir}/admin.sock" }}
listeners = {{
    web = {{ bind = "127.0.0.1:{http}", pool = "app"{web} }}
    safe = {{ bind = "127.0.0.1:{tls}", pool = "app", tls = {{ certificates = ( {{ pem = "{pem}" }} ) }} }}
    raw = {{ bind = "127.0.0.1:{tcp}", protocol = "tcp", pool = "raw" }}
}}
pools = {{
    app = {{ backends = [ "127.0.0.1:{origin}" ], keepalive = 128 }}
    raw = {{ backends = [ "127.0.0.1:{origin}" ] }}
}}
"""


# What a site usually asks for as well, each alone and all together. The last route is the one that is taken.
EXTRAS = {
    "ballast-log": """
    access_log = {{ target = "{dir}/access.log", format = "json" }}""",
    "ballast-limit": """
    rate_limit = {{ rate = "1000000/s", burst = 1000000 }}""",
    "ballast-routes": """
    routes = (
        {{ host = "api.example.com", path = "/api/v1/", pool = "raw" }}, {{ host = "*.example.org", pool = "raw" }},
        {{ path = "/api/v2/*", methods = [ "POST" ], pool = "raw" }}, {{ path = "/img/*.png", pool = "raw" }},
        {{ path = "/old/", redirect = "https://example.com/new/" }}, {{ path_regex = "^/u/([0-9]+)$", pool = "raw" }},
        {{ path = "/closed/", respond = 403 }}, {{ path = "=/health", respond = 200 }},
        {{ path = "/", headers = ( ( "X-Beta", "1" ) ), pool = "raw" }}, {{ path = "/", pool = "app" }}
    )""",
}
EXTRAS["ballast-rules"] = "".join(EXTRAS.values())
EXTRAS["ballast-rules-combined"] = EXTRAS["ballast-rules"].replace('"json"', '"combined"')


def user_name():
    """Who runs the benchmark: no proxy is to change its user, its files belong to this one."""
    return pwd.getpwuid(os.getuid()).pw_name


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def pinned(core):
    """A preexec_fn: the program runs on one core (None: on all) and does not outlive the benchmark."""
    libc = ctypes.CDLL(None)

    def prepare():
        if core is not None:
            os.sched_setaffinity(0, {core})
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    return prepare


def certificate(directory):
    """A P-256 key and a certificate of its own, in one file."""
    path = os.path.join(directory, "bench.pem")
    if not os.path.exists(path):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                        "-subj", "/CN=bench", "-keyout", f"{path}.key", "-out", f"{path}.crt"], check=True, capture_output=True)
        with open(path, "w", encoding="ascii") as out:
            for part in (".crt", ".key"):
                with open(path + part, encoding="ascii") as f:
                    out.write(f.read())
    return path


def accepts(port):
    with socket.socket() as s:
        s.settimeout(1.0)
        return s.connect_ex(("127.0.0.1", port)) == 0


class Program:
    """A process in a session of its own that is ready when its ports accept connections."""

    def __init__(self, name, command, ports, core, log_path):
        self.name, self.ports, self.log_path = name, ports, log_path
        with open(log_path, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True, preexec_fn=pinned(core))
        self.pid = self.process.pid

    def wait_ready(self):
        for _ in range(int(START_S / POLL_S)):
            if all(accepts(port) for port in self.ports):
                return self
            try:
                self.process.wait(POLL_S)
            except subprocess.TimeoutExpired:
                continue
            break
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            raise RuntimeError(f"{self.name} did not start (status {self.process.poll()}):\n{f.read()[-4000:]}")

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


class Proxy:
    """A proxy with its ports. `kinds` says what it can do: "http", "tcp", "tls"."""

    def __init__(self, name, kinds, command, directory, origin_port, core):
        self.name, self.kinds, self.command = name, kinds, command
        self.directory, self.origin_port, self.core = directory, origin_port, core
        self.port = {kind: free_port() for kind in ("http", "tcp", "tls")}
        self.program = None

    def write(self, text, **more):
        path = os.path.join(self.directory, f"{self.name}.conf")
        with open(path, "w", encoding="ascii") as f:
            f.write(text.format(dir=self.directory, origin=self.origin_port, http=self.port["http"],
                                tcp=self.port["tcp"], tls=self.port["tls"], pem=certificate(self.directory), user=user_name(), **more))
        return path

    def start(self):
        log = os.path.join(self.directory, f"{self.name}.log")
        command = self.command(self)
        ports = [self.port[kind] for kind in self.kinds]
        self.program = Program(self.name, command, ports, self.core, log)
        self.pid = self.program.pid
        return self.program.wait_ready()

    def stop(self):
        if self.program:
            self.program.stop()


def floor_command(proxy, build):
    proxy.port["tcp"] = proxy.port["http"]  # it does not know the difference
    return [f"{build}/tests/bench/floor", str(proxy.port["http"]), str(proxy.origin_port)]


def nginx_command(proxy):
    # -e: before it has read the file, nginx would write to a log of the system's.
    return ["nginx", "-e", f"{proxy.directory}/nginx.log", "-p", proxy.directory, "-c", proxy.write(NGINX)]


def haproxy_command(proxy, splice=""):
    return ["haproxy", "-db", "-f", proxy.write(HAPROXY, splice=splice)]


def ballast_command(proxy, build, web=""):
    return [f"{build}/ballast", "run", "-c", proxy.write(BALLAST.replace("{web}", web))]


def available(build):
    """Name -> (kinds, command) of what can be run here."""
    found = {}
    if os.path.exists(f"{build}/ballast"):
        found["ballast"] = (("http", "tcp", "tls"), lambda p: ballast_command(p, build))
        for name, web in EXTRAS.items():
            found[name] = (("http", "tcp", "tls"), lambda p, web=web: ballast_command(p, build, web))
    found["floor"] = (("http", "tcp"), lambda p: floor_command(p, build))
    if shutil.which("nginx"):
        found["nginx"] = (("http", "tls"), nginx_command)
    if shutil.which("haproxy"):
        found["haproxy"] = (("http", "tcp", "tls"), haproxy_command)
        found["haproxy-splice"] = (("http", "tcp", "tls"), lambda p: haproxy_command(p, "option splice-request\n    option splice-response"))
    if shutil.which("h2o"):
        found["h2o"] = (("http", "tls"), lambda p: ["h2o", "-m", "worker", "-c", p.write(H2O)])
    return found


def make(name, kinds, command, directory, origin_port, core):
    own = os.path.join(directory, name)
    os.makedirs(own)
    return Proxy(name, kinds, command, own, origin_port, core)
