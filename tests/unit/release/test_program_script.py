import json
import subprocess
import sys
from pathlib import Path

from deposit.release.targets.environment import script

ODD = 'it\'s "100%" ;#\n$HOME `id` \\ ünïcode'


def test_every_word_value_and_folder_arrives_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / ODD
    folder.mkdir()
    code = "import json, os, sys; print(json.dumps([sys.argv[1:], os.environ['ODD'], os.getcwd()]))"
    file = tmp_path / "script"
    file.write_text(script([sys.executable, "-c", code, ODD], {"ODD": ODD}, folder))
    done = subprocess.run(["/bin/sh", str(file), "--port", "1 2"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[ODD, "--port", "1 2"], ODD, str(folder)]


def test_a_folder_that_is_gone_ends_it(tmp_path: Path) -> None:
    file = tmp_path / "script"
    file.write_text(script(["/bin/true"], {}, tmp_path / "gone"))
    assert subprocess.run(["/bin/sh", str(file)], capture_output=True, check=False).returncode != 0
