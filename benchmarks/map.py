"""How smoothly the map of entities moves: real Chromium, real mouse and wheel, every frame timed.

    python -m benchmarks.map RUN --seconds 10 --width 1280 --height 900

RUN has a map (``momok map RUN``). Frames are the intervals between calls of requestAnimationFrame
while the map is dragged about and zoomed in and out; drawing is the time that the page's script
takes of one. Headless Chromium has no graphics card here: pixels are drawn by the CPU.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time

from playwright.sync_api import Page, sync_playwright

_RECORD = """() => {
  window.frames_ = []; window.draws_ = [];
  const ask = window.requestAnimationFrame.bind(window);
  window.requestAnimationFrame = (draw) => ask((now) => {
    const began = performance.now(); draw(now); window.draws_.push(performance.now() - began);
  });
  let last = performance.now();
  const step = (now) => { window.frames_.push(now - last); last = now; ask(step); };
  ask(step);
}"""


def main() -> None:
    """Serve, move the map about, and print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=900)
    parser.add_argument("--scale", type=float, default=1.0, help="pixels of the screen to one")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    given = parser.parse_args()
    command = [sys.executable, "-m", "momok", "serve", given.run, "--port", "0"]
    own = tempfile.TemporaryDirectory()
    command += ["--reviews", f"sqlite:///{own.name}/reviews.sqlite"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        address = (
            next(line for line in server.stdout if "http://" in line).split(" at ")[1].split()[0]
        )
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=given.chromium, args=["--no-sandbox"]
            )
            size = {"width": given.width, "height": given.height}
            page = browser.new_context(
                viewport=size,  # type: ignore[arg-type]
                device_scale_factor=given.scale,
            ).new_page()
            page.goto(f"{address}/map")
            page.wait_for_selector("#map[data-ready]")
            points = page.evaluate("fetch('/api/v1/map').then(a => a.json()).then(m => m.x.length)")
            page.evaluate(_RECORD)
            move(page, given.seconds)
            frames, draws = page.evaluate("[window.frames_, window.draws_]")
            browser.close()
    finally:
        server.terminate()
        server.wait()
        own.cleanup()
    print(
        f"{points:,} points, {given.width} x {given.height} at {given.scale:g}, {len(draws)} drawn"
    )
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for name, times in (("frame", frames[5:]), ("drawing", draws)):
        ordered = sorted(times)
        shares = {"median": 0.5, "p95": 0.95, "p99": 0.99}
        said = [
            f"{what} {ordered[int(share * len(ordered))]:.1f}" for what, share in shares.items()
        ]
        print(f"{name} ms: {', '.join(said)}")


def move(page: Page, seconds: float) -> None:
    """Drag the map in circles, and zoom in and out on the way."""
    box = page.locator("#map-canvas").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    began, turn = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        page.mouse.move(x, y)
        page.mouse.down()
        for dx, dy in ((120, 40), (60, 160), (-120, 60), (0, 0)):
            page.mouse.move(x + dx, y + dy, steps=20)
        page.mouse.up()
        for _ in range(6):
            page.mouse.wheel(0, -60 if turn % 2 == 0 else 60)
        turn += 1


if __name__ == "__main__":
    main()
