"""An admin API without a balancer: serves the dashboard and whatever state a test gives it."""

import copy
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from lib.ballast import ROOT

MODES = {"enable": ("enabled", "healthy"), "disable": ("maintenance", "maintenance"), "drain": ("draining", "draining")}


def server(name, pool="app", status="healthy", **more):
    out = {"id": f"{pool}:{name}", "name": name, "pool": pool, "endpoint": "10.0.0.1:8080", "url": "http://10.0.0.1:8080",
           "status": status, "mode": status if status in ("maintenance", "draining") else "enabled", "backup": False,
           "circuit_breaker": "closed", "origin": "configuration", "weight": 1, "configured_weight": 1,
           "current_connections": 12, "max_connections": 1000, "connection_utilization": 0.012, "total_requests": 1000,
           "failed_requests": 0, "responses_5xx": 0, "requests_per_second": 120.5, "average_response_time": 0.0021,
           "response_time": {"p50": 0.0012, "p90": 0.004, "p99": 0.0187, "p999": 0.09},
           "last_health_check": "2026-01-31T12:00:00.000Z"}
    out.update(more)
    return out


class FakeAdmin:
    """servers: a list of server(...) that tests may change at any time; token: what changes want, "" for nothing."""

    def __init__(self, servers, events=(), token="", all_locked=False):
        self.servers, self.events, self.token, self.all_locked = list(servers), list(events), token, all_locked
        self.broken = False  # every answer becomes a 500
        self.posts = []
        self.requests = 0
        self.total = 100000
        with open(os.path.join(ROOT, "admin", "dashboard.html"), "rb") as f:
            self.page = f.read()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def reply(self, status, body, kind="application/json"):
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def authorized(self):
                return not fake.token or self.headers.get("Authorization") == f"Bearer {fake.token}"

            def do_GET(self):
                url = urlsplit(self.path)
                if url.path == "/":
                    return self.reply(200, fake.page, "text/html; charset=utf-8")
                fake.requests += 1
                if fake.broken:
                    return self.reply(500, {"error": "broken"})
                if fake.all_locked and not self.authorized():
                    return self.reply(401, {"error": "no token"})
                answer = fake.answer(url.path, parse_qs(url.query))
                return self.reply(*answer)

            def do_POST(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if not self.authorized():
                    return self.reply(401, {"error": "no token"})
                fake.posts.append(self.path)
                return self.reply(*fake.change(self.path))

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def pools(self):
        out = {}
        for s in self.servers:
            p = out.setdefault(s["pool"], {"usable": 0, "total": 0})
            p["total"] += 1
            p["usable"] += s["status"] in ("healthy", "unknown")
        return out

    def answer(self, path, query):
        pools = self.pools()
        dead = any(p["usable"] == 0 for p in pools.values())
        sick = any(s["status"] == "unhealthy" for s in self.servers)
        if path == "/lb/health":
            return 503 if dead else 200, {"status": "unhealthy" if dead else "degraded" if sick else "healthy",
                                          "reasons": [], "version": "0.1.0", "uptime_seconds": 90061.5, "generation": 3,
                                          "workers": 2, "workers_configured": 2, "pools": pools}
        if path == "/lb/stats":
            self.total += 300
            return 200, {"total_requests": self.total, "successful_requests": self.total - 7, "failed_requests": 7,
                         "success_rate": (self.total - 7) / self.total, "active_connections": 64,
                         "average_response_time": 0.0034,
                         "response_time": {"p50": 0.0013, "p90": 0.004, "p99": 0.021, "p999": 0.1},
                         "requests_per_second": sum(s["requests_per_second"] for s in self.servers),
                         "total_servers": len(self.servers), "healthy_servers": sum(s["status"] == "healthy" for s in self.servers),
                         "server_details": copy.deepcopy(self.servers), "rate_limits": [],
                         "workers": [{"role": "worker", "index": i, "pid": 4000 + i, "state": "ready", "connections": 32,
                                      "restarts": 0, "uptime_seconds": 90000, "heartbeat_age_seconds": 0.2} for i in range(2)]}
        if path == "/lb/pools":
            return 200, {"pools": [{"name": name, "balance": "least_connections", "no_backend": 0} for name in pools]}
        if path == "/lb/events":
            since = int(query.get("since", ["0"])[0])
            fresh = [e for e in self.events if e["seq"] > since] if since >= 0 else self.events[since:]
            last = self.events[-1]["seq"] if self.events else 0
            return 200, {"events": fresh, "last": last, "newest": last}
        return 404, {"error": "no such path"}

    def change(self, path):
        *_, name, verb = path.split("/")
        name = unquote(name)
        for s in self.servers:
            if s["id"] == name and verb in MODES:
                s["mode"], s["status"] = MODES[verb]
                return 200, s
        return 404, {"error": f"there is no backend {name}"}
