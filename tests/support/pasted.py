"""What the docs give to paste, run by a shell in a clone."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def block(page: str, heading: str, language: str = "sh") -> str:
    """The code in a language, as a rule the shell's, under a heading of a page."""
    section = re.split(r"^## ", (ROOT / page).read_text(), flags=re.MULTILINE)
    text = next(each for each in section if each.startswith(f"{heading}\n"))
    return "".join(re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))


def paste(page: str, heading: str, gateway: str, folder: Path, key: str = "") -> str:
    """What a page's commands print, in a folder where paths of the repository lead there; with another port and key."""
    commands = block(page, heading).replace("http://127.0.0.1:8000", gateway)
    commands = re.sub(r"^KEY=.*$", f"KEY={key}", commands, flags=re.MULTILINE)
    assert gateway in commands
    for name in ("bento", "plugins"):
        if not (folder / name).exists():
            (folder / name).symlink_to(ROOT / name)
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "KEY": key, "NO_PROXY": "*"}
    done = subprocess.run(
        ["bash", "-euc", commands], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
