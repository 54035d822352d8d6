"""Build one Bento in a process of its own: `python -m deposit.release.build CONTEXT MODEL TAG ARCHIVE`.

BentoML takes its home from the environment once and changes sys.path and the working folder while it builds; a process
of its own keeps that away from the caller.
"""

import json
import shutil
import sys
from pathlib import Path

import bentoml
from bentoml._internal import configuration


def build(context: Path, model: Path, tag: str, archive: Path) -> None:
    """Make the BentoML model `tag` from a folder of plain files, bake it into the Bento `tag`, export that."""
    # BentoML looks for uv, or installs it from the network, to lock requirements; these are locked, it is not run
    configuration.get_uv_command = lambda: ["uv"]  # type: ignore[assignment]
    name, version = tag.split(":")
    with bentoml.models.create(tag) as stored:
        shutil.copytree(model, stored.path, dirs_exist_ok=True)
    requirements = json.loads((context / "requirements.json").read_text())
    bento = bentoml.build(
        "service.py:Deposit",
        name=name,
        version=version,
        build_ctx=str(context),
        include=["*.py", "*.md", "model.tag", "serving/static/**"],
        models=[tag],
        python={"packages": requirements, "lock_packages": False},
    )
    bento.export(str(archive))


if __name__ == "__main__":
    build(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
