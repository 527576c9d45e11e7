"""Files are whole or not there, whatever happens while they are written."""

from __future__ import annotations

import os
import resource
import signal
import stat
import threading
from collections.abc import Iterator

import pytest

from steepest.errors import RunError
from steepest.files import write_bytes, write_text, writing

MEGABYTE = 1 << 20


@pytest.fixture
def little_room() -> Iterator[None]:
    """Let no file grow beyond a megabyte, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MEGABYTE, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, ignored)


def test_what_was_there_survives_a_disk_without_room(tmp_path, little_room):
    path = tmp_path / "result.bin"
    write_bytes(path, b"good")
    with pytest.raises(RunError, match=r"result\.bin: cannot be written \(File too large\)"):
        write_bytes(path, bytes(2 * MEGABYTE))
    assert path.read_bytes() == b"good"
    assert [each.name for each in tmp_path.iterdir()] == ["result.bin"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_what_was_there_survives_an_error_or_an_interrupt_in_the_middle(tmp_path, error):
    path = write_text(tmp_path / "page.html", "old")
    with pytest.raises(error):
        _write_half(path, error)
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["page.html"]


def test_text_is_utf_8_in_folders_that_are_made(tmp_path):
    path = write_text(tmp_path / "a" / "b" / "ρ.txt", "ρ = ‖W‖\n")
    assert path.read_bytes() == "ρ = ‖W‖\n".encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~_umask()


def test_a_link_is_followed_and_stays_a_link(tmp_path):
    place, link = tmp_path / "real.txt", tmp_path / "link.txt"
    place.write_text("old")
    link.symlink_to(place)
    write_text(link, "new")
    assert link.is_symlink()
    assert place.read_text() == "new"


def test_what_is_no_plain_file_is_written_to_directly(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write_text(pipe, "through")
    reader.join(timeout=10)
    assert read == ["through"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_folder_of_that_name_or_an_impossible_name_is_one_line(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(RunError, match=r"taken: cannot be written \(Is a directory\)"):
        write_text(tmp_path / "taken", "")
    with pytest.raises(RunError, match=r"cannot be written \(File name too long\)"):
        write_text(tmp_path / ("n" * 300), "")
    assert [each.name for each in tmp_path.iterdir()] == ["taken"]


def test_a_name_of_the_longest_length_can_be_written(tmp_path):
    assert write_text(tmp_path / ("n" * 255), "x").read_text() == "x"


def _write_half(path, error):
    with writing(path) as file:
        file.write(b"ne")
        raise error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
