"""A headless browser, driven over the DevTools protocol with nothing but python3-websockets."""

import asyncio
import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
import urllib.request

import websockets

from lib import procs
from lib.wait import poll, wait_until

PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--remote-debugging-port=0")
START_S, ANSWER_S = 60.0, 30.0


def program():
    """Path of the browser, or None."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Page:
    """One tab. Everything waits with a deadline; a JavaScript error of the page is kept in `errors`."""

    def __init__(self, url):
        self._loop = asyncio.new_event_loop()
        self._number = 0
        self.errors = []
        self._socket = self._wait(self._connect(url))
        for domain in ("Page", "Runtime", "Log"):
            self.call(domain + ".enable")

    @staticmethod
    async def _connect(url):
        return await websockets.connect(url, max_size=None)

    def _wait(self, awaitable):
        return self._loop.run_until_complete(asyncio.wait_for(awaitable, ANSWER_S))

    def call(self, method, **params):
        self._number += 1
        self._wait(self._socket.send(json.dumps({"id": self._number, "method": method, "params": params})))
        while True:
            message = json.loads(self._wait(self._socket.recv()))
            if message.get("id") == self._number:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]
            self._note(message)

    def _note(self, message):
        params = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        elif message.get("method") == "Log.entryAdded" and params["entry"]["source"] in ("security", "javascript"):
            self.errors.append(params["entry"]["text"])

    def js(self, expression):
        """The value of an expression; promises are awaited."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def open(self, url, width=1360, height=900, dark=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.dark(dark)
        self.call("Page.navigate", url=url)
        wait_until(lambda: self.js("location.href != 'about:blank' && document.readyState == 'complete'"), ANSWER_S, url)

    def dark(self, on):
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": "dark" if on else "light"}])

    def until(self, expression, seconds=15.0):
        """Waits until an expression is true in the page."""
        wait_until(lambda: self.js(f"Boolean({expression})"), seconds, expression)

    def text(self, selector):
        return self.js(f"document.querySelector({json.dumps(selector)})?.innerText")

    def click(self, selector):
        """A real click in the middle of an element."""
        box = self.js(f"(e => {{ e.scrollIntoView({{block: 'center'}}); const r = e.getBoundingClientRect();"
                      f"return [r.x + r.width / 2, r.y + r.height / 2]; }})(document.querySelector({json.dumps(selector)}))")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def click_until(self, selector, condition, tries=3):
        """Clicks again while the element moved away under the pointer, as a person would."""
        for left in range(tries - 1, -1, -1):
            self.click(selector)
            try:
                return self.until(condition, 3.0 if left else 10.0)
            except AssertionError:
                if left == 0:
                    raise
        return None

    def type(self, text):
        self.call("Input.insertText", text=text)

    def key(self, name, code, text=""):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, windowsVirtualKeyCode=code, text=text if kind == "keyDown" else "")

    def screenshot(self, path, whole=True):
        """Writes a PNG of the whole page."""
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        with open(path, "wb") as f:
            f.write(base64.b64decode(data))
        return os.path.getsize(path)

    def close(self):
        self._wait(self._socket.close())
        self._loop.close()


class Chromium:
    def __init__(self, *flags):
        self.directory = tempfile.mkdtemp(prefix="ballast-chromium-")
        self._log = open(os.path.join(self.directory, "log"), "ab")
        self.process = subprocess.Popen([program(), *FLAGS, *flags, f"--user-data-dir={self.directory}/profile", "about:blank"],
                                        stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, start_new_session=True)
        self.pages = []
        port_file = os.path.join(self.directory, "profile", "DevToolsActivePort")

        def listening():
            with open(port_file, encoding="ascii") as f:
                line = f.readline()
                return int(line) if line.endswith("\n") else None

        try:
            self.port = wait_until(listening, START_S, "chromium's DevTools port")
        except BaseException:
            self.close()
            raise

    def _signal(self, number):
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    def page(self):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/json/new?about:blank", method="PUT")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=ANSWER_S) as answer:
            self.pages.append(Page(json.load(answer)["webSocketDebuggerUrl"]))
        return self.pages[-1]

    def close(self):
        """The program may be a shell around the browser: the whole session ends, not the shell alone."""
        try:
            for page in self.pages:
                page.close()
        finally:
            for number in (signal.SIGTERM, signal.SIGKILL):
                self._signal(number)
                if poll(lambda: self.process.poll() is not None and not procs.in_session(self.process.pid), 10.0):
                    break
            self.process.wait()
            self._log.close()
            shutil.rmtree(self.directory, ignore_errors=True)
