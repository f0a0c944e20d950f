"""What tests of pages share: a browser."""

import html
import json
import re
import shutil
import subprocess

import pytest
from harness import DEADLINE

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture
def browser(tmp_path):
    """Return a function that loads a page in Chromium and returns what it has become."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium (apt-get install chromium): tox -e tests")

    def load(page, *ways, widths=(1200,)):
        """Put the page into a frame for each way and width; do its steps, return what the last finds."""
        source = html.escape(page)
        frames = [
            f'<iframe width="{width}" height="800" srcdoc="{source}"></iframe>'
            for _ in ways
            for width in widths
        ]
        functions = [[f"(window, document) => {step}" for step in way] for way in ways for _ in widths]
        steps = ", ".join(f"[{', '.join(way)}]" for way in functions)
        outer = tmp_path / "outer.html"
        outer.write_text(
            f'<meta charset="utf-8">{"".join(frames)}'
            """<script>onload = async () => {
                const found = [];
                for (const [number, steps] of STEPS.entries())
                    for (const step of steps) {
                        found[number] = step(frames[number], frames[number].document);
                        await new Promise(go => setTimeout(go, 50));
                    }
                const said = document.createElement("p");
                said.id = "found";
                said.textContent = JSON.stringify(found);
                document.body.append(said);
            }</script>""".replace("STEPS", f"[{steps}]")
        )
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-quic"]
        flags += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
        flags += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=3000"]
        command = [CHROMIUM, *flags, "--dump-dom"]
        done = subprocess.run(
            [*command, outer.as_uri()], capture_output=True, text=True, timeout=DEADLINE, check=True
        )
        return json.loads(html.unescape(re.search(r'<p id="found">(.*?)</p>', done.stdout)[1]))

    return load
