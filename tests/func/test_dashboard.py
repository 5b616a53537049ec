"""The dashboard in a real browser: against a real instance, and against an API that lies, breaks and wants a token."""

import json
import os

import pytest

from lib import http
from lib.ballast import ROOT
from lib.chromium import Chromium, program
from lib.fake_admin import FakeAdmin, server
from lib.net import free_port
from lib.wait import wait_until

pytestmark = pytest.mark.skipif(program() is None, reason="no chromium is installed")

EVIL = '<img src=x onerror="window.hacked=1">'


@pytest.fixture
def page():
    browser = Chromium()
    try:
        page = browser.page()
        yield page
        assert page.errors == []
    finally:
        browser.close()


@pytest.fixture
def fake(request):
    made = []

    def start(servers, **options):
        made.append(FakeAdmin(servers, **options))
        return made[-1]

    yield start
    for f in made:
        f.stop()


def row(id):
    return f'tr[data-id="{id}"]'


def button(id, verb):
    return f'{row(id)} button[data-verb="{verb}"]'


def pill(page, id):
    return page.text(row(id) + " .pill")


# ---- a real instance -------------------------------------------------------------------------------------------------


@pytest.fixture
def instance(ballast, origins):
    three, port = origins(3), free_port()
    b = ballast(f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ health = {{ interval = "100ms" }}, backends = (
    {{ name = "b1", address = "{three[0].address}" }}, {{ name = "b2", address = "{three[1].address}", weight = 3 }},
    {{ name = "b3", address = "{three[2].address}" }} ) }} }}
""")
    for name in ("b1", "b2", "b3"):
        b.wait_status(name, "healthy")
    b.port, b.origins = port, three
    return b


def test_shows_a_running_instance_and_disables_a_backend(instance, page, tmp_path):
    for _ in range(30):
        assert http.get(instance.port).status == 200
    page.open(f"http://127.0.0.1:{instance.admin_port}/")
    for name in ("b1", "b2", "b3"):
        page.until(f"document.querySelector('{row('app:' + name)} .pill')?.textContent == 'healthy'")
    assert page.text("#status") == "healthy"
    assert page.text("#version") == instance.admin("/lb/health")["version"]
    assert page.text("#workers") == "2"
    assert "All clear: 3 backends in 1 pool" in page.text("#problems")
    assert "round_robin" in page.text(".pool-head")
    page.until("document.querySelector('#rate-sub').textContent == '30 in all'")
    page.until("document.querySelectorAll('#events li').length > 3")

    page.click(button("app:b2", "disable"))
    page.until(f"document.querySelector('{row('app:b2')} .pill').textContent == 'maintenance'")
    assert instance.backends()["b2"]["status"] == "maintenance"
    assert page.js(f"document.querySelector('{button('app:b2', 'disable')}').disabled") is True
    page.until("document.querySelector('#problems').textContent.includes('app:b2 is in maintenance')")
    page.until("document.querySelector('#events').innerText.includes('maintenance')")
    for dark in (False, True):
        page.dark(dark)
        assert page.screenshot(os.path.join(tmp_path, f"dashboard-{dark}.png")) > 20_000

    page.click(button("app:b2", "drain"))
    page.until(f"document.querySelector('{row('app:b2')} .pill').textContent == 'draining'")
    page.click(button("app:b2", "enable"))
    page.until(f"document.querySelector('{row('app:b2')} .pill').textContent == 'healthy'")
    assert instance.backends()["b2"]["status"] == "healthy"


def test_a_backend_that_dies_is_on_top(instance, page):
    page.open(f"http://127.0.0.1:{instance.admin_port}/")
    page.until("document.querySelectorAll('tbody tr[data-id]').length == 3")
    instance.origins[2].stop()
    page.until(f"document.querySelector('{row('app:b3')} .pill').textContent == 'unhealthy'", 30)
    assert page.js("document.querySelector('.pool tbody tr').dataset.id") == "app:b3"
    page.until("document.querySelector('#status').textContent == 'degraded'")
    page.until("/app:b3 is unhealthy: .+/.test(document.querySelector('#problems').textContent)")


def test_the_end_of_the_instance_is_an_outage(instance, page):
    page.open(f"http://127.0.0.1:{instance.admin_port}/")
    page.until("document.querySelectorAll('tbody tr[data-id]').length == 3")
    instance.stop()
    page.until("!document.querySelector('#outage').hidden")
    page.errors.clear()  # failed fetches are what this is about


def test_needs_nothing_from_elsewhere():
    with open(os.path.join(ROOT, "admin", "dashboard.html"), encoding="utf-8") as f:
        text = f.read()
    for mark in ("<script src", "<link rel=\"stylesheet\"", "@import", "url(http", "innerHTML", "insertAdjacentHTML",
                 "document.write", "eval("):
        assert mark not in text, mark


# ---- an API without a balancer -----------------------------------------------------------------------------------------


def test_every_text_of_the_api_is_only_text(fake, page):
    evil = server("x", pool=EVIL, status="unhealthy", endpoint=EVIL, origin=EVIL, circuit_breaker=EVIL)
    evil.update(id=f"{EVIL}:x", name=EVIL)
    f = fake([evil, server("b1")], events=[{"seq": 1, "time": EVIL, "kind": EVIL, "object": EVIL, "from": EVIL, "to": EVIL,
                                            "reason": EVIL}])
    page.open(f.url)
    page.until("document.querySelectorAll('tbody tr[data-id]').length == 2")
    page.until("document.querySelectorAll('#events li').length == 1")
    assert page.js("document.querySelectorAll('img').length") == 0
    assert page.js("window.hacked") is None
    assert EVIL in page.text("#problems") and EVIL in page.text("#events") and EVIL in page.text("#pools")
    index = page.js("[...document.querySelectorAll('tbody tr[data-id]')].findIndex(r => r.dataset.id != 'app:b1')")
    page.js(f"document.querySelectorAll('tbody tr[data-id]')[{index}].querySelector('[data-verb=disable]').click()")
    wait_until(lambda: f.posts)
    assert "<" not in f.posts[0]
    wait_until(lambda: evil["status"] == "maintenance")


def test_names_of_object_members_are_harmless(fake, page):
    f = fake([server("__proto__", pool="constructor"), server("toString", pool="__proto__", status="hasOwnProperty")])
    page.open(f.url)
    page.until("document.querySelectorAll('tbody tr[data-id]').length == 2")
    assert pill(page, "__proto__:toString") == "unknown"


def test_token_is_asked_for_once(fake, page):
    f = fake([server("b1"), server("b2")], token="open-sesame")
    page.open(f.url)
    page.until(f"document.querySelector('{row('app:b1')}')")
    page.click(button("app:b1", "disable"))
    page.until("document.querySelector('#token-dialog').open")
    page.type("wrong")
    page.key("Enter", 13, "\r")
    page.until("document.querySelector('#token-dialog').open && document.querySelector('#token-text').textContent.includes('not accepted')")
    assert f.posts == []
    page.type("open-sesame")
    page.key("Enter", 13, "\r")
    page.until(f"document.querySelector('{row('app:b1')} .pill').textContent == 'maintenance'")
    assert page.js("sessionStorage.getItem('ballast-token')") == "open-sesame"
    assert page.js("document.querySelector('#token').value") == ""
    page.click(button("app:b1", "enable"))
    page.until(f"document.querySelector('{row('app:b1')} .pill').textContent == 'healthy'")
    assert page.js("document.querySelector('#token-dialog').open") is False
    page.errors.clear()  # the browser logs each 401


def test_token_for_reading_too(fake, page):
    f = fake([server("b1")], token="open-sesame", all_locked=True)
    page.open(f.url)
    page.until("document.querySelector('#token-dialog').open")
    page.type("open-sesame")
    page.key("Enter", 13, "\r")
    page.until(f"document.querySelector('{row('app:b1')}')")
    page.until("document.querySelector('#outage').hidden")
    page.errors.clear()


def test_giving_up_the_token_changes_nothing(fake, page):
    f = fake([server("b1"), server("b2")], token="open-sesame")
    page.open(f.url)
    page.until(f"document.querySelector('{row('app:b1')}')")
    page.click(button("app:b1", "drain"))
    page.until("document.querySelector('#token-dialog').open")
    page.key("Escape", 27)
    page.until("!document.querySelector('#token-dialog').open")
    page.until(f"!document.querySelector('{button('app:b1', 'drain')}').disabled")
    assert f.posts == []
    page.errors.clear()


def test_the_last_backend_is_not_disabled_by_a_slip(fake, page):
    f = fake([server("b1"), server("b2", status="unhealthy")])
    page.open(f.url)
    page.until(f"document.querySelector('{row('app:b1')}')")
    page.click_until(button("app:b1", "disable"), "document.querySelector('#confirm-dialog').open")
    assert "last usable backend of pool app" in page.text("#confirm-text")
    page.key("Enter", 13, "\r")  # Cancel has the focus
    page.until("!document.querySelector('#confirm-dialog').open")
    assert f.posts == []
    page.click_until(button("app:b1", "disable"), "document.querySelector('#confirm-dialog').open")
    page.until("document.querySelector('#confirm-dialog').dispatchEvent(new Event('close'))")  # a browser may tell late of the one before
    page.click_until("#confirm-ok", "!document.querySelector('#confirm-dialog').open")
    wait_until(lambda: f.posts == ["/lb/backends/app%3Ab1/disable"])


def test_outage_and_return(fake, page):
    f = fake([server("b1")])
    page.open(f.url)
    page.until(f"document.querySelector('{row('app:b1')}')")
    assert page.js("document.querySelector('#outage').hidden") is True
    f.broken = True
    page.until("!document.querySelector('#outage').hidden")
    assert "it answered 500" in page.text("#outage") and page.text("#status") == "no answer"
    assert pill(page, "app:b1") == "healthy", "the last known state stays on show"
    f.broken = False
    page.until("document.querySelector('#outage').hidden")
    assert page.text("#status") == "healthy"
    page.errors.clear()


def test_a_refusal_is_shown(fake, page):
    f = fake([server("b1"), server("b2")])
    page.open(f.url)
    page.until(f"document.querySelector('{row('app:b1')}')")
    f.servers[0]["id"] = "renamed"
    page.js("pause(true)")
    page.click(button("app:b1", "disable"))
    page.until("!document.querySelector('#toast').hidden && document.querySelector('#toast').className == 'bad'")
    assert "there is no backend app:b1" in page.text("#toast")
    page.errors.clear()


def test_a_pool_without_usable_backend_comes_first(fake, page):
    f = fake([server("b1"), server("z1", pool="zeta", status="unhealthy"), server("z2", pool="zeta", status="maintenance")])
    page.open(f.url)
    page.until("document.querySelectorAll('.pool').length == 2")
    assert page.js("document.querySelector('.pool h2').textContent") == "zeta"
    assert page.text("#status") == "unhealthy"
    first = page.js("document.querySelector('#problem-list li').innerText")
    assert "Pool zeta" in first and "503" in first
    f.servers[1]["status"] = "healthy"
    page.until("document.querySelector('#status').textContent == 'healthy'")
    page.until("!document.querySelector('#problems').textContent.includes('Pool zeta')")


def test_pause_and_hidden_pages_do_not_poll(fake, page):
    f = fake([server("b1")])
    page.open(f.url)
    page.until(f"document.querySelector('{row('app:b1')}')")
    page.click("#pause")
    page.until("document.querySelector('#live').textContent == 'paused' && !state.running")
    before = f.requests
    assert page.js("state.paused") is True
    page.js("new Promise(done => { let n = 0; const again = () => ++n < 90 ? requestAnimationFrame(again) : done(); again(); })")
    assert f.requests == before
    page.click("#pause")
    wait_until(lambda: f.requests > before)


def test_keyboard_reaches_every_button_and_focus_stays(fake, page):
    f = fake([server("b1"), server("b2")])
    page.open(f.url)
    page.until(f"document.querySelector('{row('app:b2')}')")
    seen = set()
    for _ in range(16):
        page.key("Tab", 9)
        seen.add(page.js("document.activeElement.dataset?.verb + ' ' + document.activeElement.closest('tr')?.dataset.id"))
    assert {f"{verb} app:{b}" for verb in ("drain", "disable") for b in ("b1", "b2")} <= seen
    page.js(f"document.querySelector('{button('app:b2', 'drain')}').focus()")
    polls = f.requests
    f.servers[1]["status"] = "unhealthy"
    wait_until(lambda: f.requests > polls + 6)
    page.until(f"document.querySelector('{row('app:b2')} .pill').textContent == 'unhealthy'")
    assert page.js("document.activeElement.dataset.verb") == "drain"
    page.key(" ", 32, " ")
    page.until(f"document.querySelector('{row('app:b2')} .pill').textContent == 'draining'")


def test_filter_and_many_backends(fake, page):
    f = fake([server(f"n{i:04}") for i in range(1000)])
    page.open(f.url)
    page.until("document.querySelectorAll('tbody tr[data-id]').length == 200")
    assert "800 backends more" in page.text(".more")
    page.key("/", 191, "/")
    page.type("n0999")
    page.until("document.querySelectorAll('tbody tr[data-id]').length == 1")
    page.key("Escape", 27)
    page.until("document.querySelectorAll('tbody tr[data-id]').length == 200")
    page.click(".more button")
    page.until("document.querySelectorAll('tbody tr[data-id]').length == 1000")


def test_narrow_window_does_not_overflow(fake, page):
    f = fake([server("b1"), server("b2", status="unhealthy")])
    page.open(f.url, width=420, height=800)
    page.until(f"document.querySelector('{row('app:b1')}')")
    assert page.js("document.documentElement.scrollWidth <= innerWidth") is True


def test_colours_have_contrast(fake, page):
    """WCAG 2.1 AA (4.5 to 1) for the text of every status, in both themes."""
    f = fake([server(s, status=s) for s in ("healthy", "unhealthy", "maintenance", "draining", "unknown", "overloaded")])
    page.open(f.url)
    page.until("document.querySelectorAll('tbody tr[data-id]').length == 6")
    measure = """[...document.querySelectorAll('.pill, .sub, .muted, th, .count, dt')].filter(e => e.innerText.trim()).map(e => {
        const parse = c => c.match(/[0-9.]+/g).map(Number);
        let b = e, back = [0, 0, 0, 0];
        while (b && (back = parse(getComputedStyle(b).backgroundColor)) && back.length == 4 && back[3] == 0) b = b.parentElement;
        const light = c => { const [r, g, b] = c.slice(0, 3).map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
            return .2126 * r + .7152 * g + .0722 * b; };
        const [x, y] = [light(parse(getComputedStyle(e).color)), light(back)].sort((p, q) => q - p);
        return [e.className + ': ' + e.innerText, (x + .05) / (y + .05)]; })"""
    for dark in (False, True):
        page.dark(dark)
        bad = [m for m in page.js(measure) if m[1] < 4.5]
        assert bad == [], json.dumps(bad)
