"""The site: built without a warning, no dead link, no page lost, looked at in a browser.

`make site-test` runs this. Elsewhere it is skipped without Sphinx, a part of it without Chromium.
"""

import functools
import importlib
import re
import shutil
import subprocess
import sys
import threading
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
NEEDED = ("sphinx", "myst_parser", "numpydoc", "pydata_sphinx_theme", "playwright")
MISSING = [name for name in NEEDED if find_spec(name) is None]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
MADE_BY_SPHINX = {"genindex.html", "search.html", "py-modindex.html"}

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"`make site-test` installs {MISSING}")


class Page(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.anchors = set(), {""}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.anchors |= {attributes.get("id"), attributes.get("name")}
        for name in ("href", "src"):
            target = attributes.get(name)
            if target and not urlsplit(target).scheme:
                self.links.add(target)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    options = ["--quiet", "--nitpicky", "--fail-on-warning", "--keep-going"]
    where = [str(ROOT / "docs"), str(folder), "--doctree-dir", str(folder / ".doctrees")]
    command = [sys.executable, "-m", "sphinx", "--builder", "html", *options, *where]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site):
    files = {path.relative_to(site).as_posix(): path for path in site.rglob("*.html")}
    return {name: Page(path) for name, path in files.items() if not name.startswith("_")}


def target(site, page, link):
    """Return the file and the anchor that a link leads to, the file as it is named in the site."""
    parts = urlsplit(link)
    path = (site / page).parent / unquote(parts.path) if parts.path else site / page
    return path.resolve().relative_to(site.resolve()).as_posix(), unquote(parts.fragment)


def test_no_link_is_dead(site, pages):
    dead = []
    for page, found in pages.items():
        for link in found.links:
            file, anchor = target(site, page, link)
            anchors = pages[file].anchors if file in pages else {""}
            if not (site / file).is_file() or anchor not in anchors:
                dead.append((page, link))
    assert not dead


def test_every_page_can_be_reached(site, pages):
    reached, waiting = set(), {"index.html"}
    while waiting:
        page = waiting.pop()
        reached.add(page)
        files = {target(site, page, link)[0] for link in pages[page].links}
        waiting |= (files & pages.keys()) - reached
    assert pages.keys() - reached <= MADE_BY_SPHINX


def test_every_public_name_is_documented(pages):
    documented = set().union(*(page.anchors for page in pages.values()))
    for module in ("fastloss", "fastloss.boosting", "fastloss.dask", "fastloss_kernels"):
        package = importlib.import_module(module)
        names = {name for name in package.__all__ if callable(getattr(package, name))}
        own = {name for name in names if getattr(package, name).__name__ == name}  # no short names
        assert {f"{module}.{name}" for name in own} <= documented


def test_every_environment_variable_is_documented():
    """Those that our sources name, but what only the tests of processes set."""
    text = (ROOT / "docs/reference/environment.md").read_text(encoding="utf-8")
    sources = [*(ROOT / "fastloss").rglob("*.py"), *(ROOT / "kernels").rglob("*.py")]
    named = r"\b(?:FASTLOSS|NUMBA|OMP|OPENBLAS)_[A-Z_]+\b"
    found = {name for path in sources for name in re.findall(named, path.read_text("utf-8"))}
    assert found
    assert found <= set(re.findall(named, text))


def test_llms_txt_lists_every_page(site, pages):
    listed = re.findall(r"^- \[.*?\]\((.*?)\)", (site / "llms.txt").read_text("utf-8"), re.M)
    assert len(listed) == len(set(listed))
    assert {*listed, "index.html"} == pages.keys() - MADE_BY_SPHINX


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def address(site):
    handler = functools.partial(QuietHandler, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("needs chromium: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox"],  # root in a container has none
        )
        yield browser
        browser.close()


#: What sticks out of the window: the page itself, or a table or picture that nothing lets scroll.
STICKS_OUT = """() => {
  const scrolls = (node) => node && node !== document.body &&
    (["auto", "scroll"].includes(getComputedStyle(node).overflowX) || scrolls(node.parentElement));
  const found = [...document.querySelectorAll("article :is(table, img, pre, math)")]
    .filter((node) => node.getBoundingClientRect().right > innerWidth && !scrolls(node))
    .map((node) => node.outerHTML.slice(0, 80));
  if (document.documentElement.scrollWidth > innerWidth) found.push("the page");
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_and_report_no_error(pages, address, browser, scheme):
    wrong = []

    def failed(request):
        if request.failure != "net::ERR_ABORTED":  # by the next page, as a picture of the tab
            wrong.append(request.url)

    with browser.new_context(color_scheme=scheme) as context:
        tab = context.new_page()
        tab.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on("requestfailed", failed)
        for page in sorted(pages.keys() - MADE_BY_SPHINX):
            tab.goto(f"{address}/{page}")
            assert tab.evaluate("document.documentElement.dataset.theme") == scheme
            for width in (1280, 390):
                tab.set_viewport_size({"width": width, "height": 844})
                wrong += [(page, width, what) for what in tab.evaluate(STICKS_OUT)]
    assert not wrong


def test_the_search_finds(address, browser):
    with browser.new_context() as context:
        tab = context.new_page()
        tab.goto(f"{address}/search.html?q=label+smoothing")
        tab.wait_for_selector("#search-results li a")
        tab.wait_for_function(
            "document.querySelector('.search-summary').innerText.includes('found')"
        )
        links = tab.eval_on_selector_all("#search-results li a", "all => all.map(a => a.href)")
    assert any("reference/losses/categorical_crossentropy" in link for link in links), links
