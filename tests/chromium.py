"""The machine's own Chromium, in which tests open pages from disk."""

import os
import shutil

CHROMIUM = os.environ.get("QD_FOOL_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)

FIRST_PICTURE = """() => {
  const image = document.querySelector("#wall img");
  return image && image.complete && image.naturalWidth > 0 && performance.now();
}"""

QUIET = (
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
