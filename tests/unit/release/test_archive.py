import io
import tarfile
from pathlib import Path

import pytest

from deposit.errors import ReleaseError
from deposit.release.targets.image import unpack


def _archive(folder: Path, *members: tarfile.TarInfo) -> Path:
    path = folder / "deposit.bento"
    with tarfile.open(path, "w:xz") as content:
        for member in members:
            data = member.name.encode() if member.isfile() else b""
            member.size = len(data)
            content.addfile(member, io.BytesIO(data))
    return path


def _member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mode = kind, target, 0o4777
    return member


def test_files_and_folders_are_written_without_their_modes(tmp_path: Path) -> None:
    archive = _archive(tmp_path, _member("./src", tarfile.DIRTYPE), _member("./src/a.py"), _member("models/x/y.json"))
    unpack(archive, tmp_path / "bento")
    assert (tmp_path / "bento" / "src" / "a.py").read_text() == "./src/a.py"
    assert (tmp_path / "bento" / "models" / "x" / "y.json").stat().st_mode & 0o7111 == 0


@pytest.mark.parametrize(
    "member",
    [
        _member("../outside"),
        _member("/etc/outside"),
        _member("src/../../outside"),
        _member("src/link", tarfile.SYMTYPE, "/etc/passwd"),
        _member("src/link", tarfile.LNKTYPE, "../outside"),
        _member("src/device", tarfile.CHRTYPE),
        _member("src/pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda member: f"{member.name} {member.type!r}",
)
def test_what_is_no_file_beneath_it_is_refused(member: tarfile.TarInfo, tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"no file beneath it: package it again"):
        unpack(_archive(tmp_path, _member("src/a.py"), member), tmp_path / "bento")
    assert not (tmp_path / "outside").exists()


def test_what_is_no_archive_is_named(tmp_path: Path) -> None:
    path = tmp_path / "deposit.bento"
    path.write_bytes(b"not a tar")
    with pytest.raises(ReleaseError, match=r"deposit\.bento is not a Bento archive"):
        unpack(path, tmp_path / "bento")
