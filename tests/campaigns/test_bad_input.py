"""Input that is malformed, far too large, far too deep, or a bomb: by the policy, never a crash."""

from __future__ import annotations

import gzip
import json
import random
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from tests.campaigns.driving import Budget, Counting, chance_of
from tests.campaigns.test_poison import accepting, numbers, written

pytestmark = pytest.mark.campaign

MIB = 1 << 20
SPARE = 60 * MIB
"""What a bad input may cost on top of what a small one does and the input's own bounds."""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> int:
    """The memory that the job takes for a few small lines."""
    campaign = accepting(tmp_path_factory.mktemp("small"), "dead", [b'{"number": 1}'])
    assert campaign.run() == 0, campaign.log()
    return campaign.most_memory


def around(*bad: bytes) -> list[bytes]:
    """Bad lines between good ones."""
    return [b'{"number": 1}', *bad, b'{"number": 2}']


def test_a_line_over_the_limit_goes_by_the_policy_and_memory_is_bounded(
    tmp_path: Path, small: int
) -> None:
    """Ten megabytes are let through where they are allowed, and cut where they are not."""
    huge = b'{"number": 7, "padding": "' + b"x" * (10 * MIB) + b'"}'
    allowed = accepting(tmp_path / "allowed", "dead", around(huge))
    allowed.finish(twice=False)
    assert numbers(tmp_path / "allowed") == [1, 7, 2]
    assert allowed.most_memory < small + 5 * 10 * MIB + SPARE
    refused = accepting(tmp_path / "refused", "dead", around(huge))
    refused.settings["CAMPAIGN_LIMITS"] = '{"max_record_bytes": "1MiB"}'
    refused.finish(twice=False)
    assert numbers(tmp_path / "refused") == [1, 2]
    assert "dead letters 1" in refused.log()
    assert refused.most_memory < small + SPARE


def test_a_line_that_never_ends_is_read_in_bounded_memory(tmp_path: Path, small: int) -> None:
    """Two hundred megabytes without a line feed, then a good line."""
    campaign = accepting(tmp_path, "dead", [b'{"number": 1}'])
    with (tmp_path / "in" / "in-00.jsonl").open("ab") as file:
        for _ in range(200):
            file.write(b"y" * MIB)
        file.write(b'\n{"number": 2}\n')
    campaign.finish(twice=False)
    assert numbers(tmp_path) == [1, 2]
    assert campaign.most_memory < small + 3 * 16 * MIB + SPARE


@pytest.mark.parametrize("value", ["item", "any"])
def test_a_hundred_thousand_fields_and_a_thousand_levels_do_not_bring_it_down(
    tmp_path: Path, value: str, small: int
) -> None:
    wide = json.dumps({"number": 3, **{f"field-{n}": n for n in range(100_000)}}).encode()
    deep = b'{"number": 4, "deep": ' + b"[" * 1_000 + b"]" * 1_000 + b"}"
    deeper = b'{"number": 5, "deep": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    unclosed = b"[" * 1_000_000
    campaign = accepting(tmp_path, "dead", around(wide, deep, deeper, unclosed))
    campaign.settings["CAMPAIGN_VALUE"] = value
    campaign.finish(twice=False)
    echoes, dead = written(tmp_path, "echoes"), written(tmp_path, "dead")
    assert len(echoes) + len(dead) == 6, campaign.log()
    assert unclosed in dead
    assert campaign.most_memory < small + 100 * MIB


# Bombs ---------------------------------------------------------------------------------------


def zeros(path: Path, megabytes: int) -> None:
    """A file that unpacks to a thousand times its size, in the format of its name."""
    block = b"\0" * MIB
    if path.suffix == ".gz":
        with gzip.open(path, "wb", compresslevel=9) as file:
            for _ in range(megabytes):
                file.write(block)
    elif path.suffix == ".zip":
        with (
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
            archive.open("zeros.jsonl", "w", force_zip64=True) as member,
        ):
            for _ in range(megabytes):
                member.write(block)
    else:
        cramjam = pytest.importorskip("cramjam")
        compressor = cramjam.zstd.Compressor()
        packed = b""
        for _ in range(megabytes):
            compressor.compress(block)
            packed += bytes(compressor.flush())
        path.write_bytes(packed + bytes(compressor.finish()))


@pytest.mark.parametrize("suffix", ["gz", "zip", "zst"])
@pytest.mark.parametrize(("policy", "megabytes"), [("dead", 256), ("fail", 256), ("dead", 1024)])
def test_a_bomb_is_refused_at_its_limit_and_memory_is_bounded(
    tmp_path: Path, suffix: str, policy: str, megabytes: int, small: int
) -> None:
    """A gigabyte, or a quarter of it, in a thousandth of that.

    Whatever the policy: what lies behind the limit was never read, so no dead letter could hold
    it, and going on would lose it. The limit is the user's to raise.
    """
    campaign = accepting(tmp_path, policy, [b'{"number": 1}', b'{"number": 2}'])
    bomb = tmp_path / "in" / f"bomb.jsonl.{suffix}"
    zeros(bomb, megabytes)
    assert bomb.stat().st_size < megabytes << 11
    assert campaign.run() == 1, campaign.log()
    log = campaign.log()
    assert f"in/bomb.jsonl.{suffix}: it " in log
    assert "of more than 64.0 MiB" in log or "raise max_decompressed_bytes of its input" in log
    assert "Traceback" not in log
    assert campaign.most_memory < small + 3 * 16 * MIB + SPARE
    # How far the other partitions had come is a matter of time; a restart goes on from there.
    assert set(numbers(tmp_path)) <= {1, 2}


@pytest.mark.parametrize("suffix", ["gz", "zip", "zst"])
def test_a_gigabyte_that_is_allowed_is_read_through_in_bounded_memory(
    tmp_path: Path, suffix: str, small: int
) -> None:
    """It is one line, over the limit of lines, and goes by the policy; what follows is read."""
    campaign = accepting(tmp_path, "dead", [b'{"number": 1}', b'{"number": 2}'])
    campaign.settings["CAMPAIGN_LIMITS"] = json.dumps({"max_decompressed_bytes": "2GiB"})
    zeros(tmp_path / "in" / f"bomb.jsonl.{suffix}", 1024)
    campaign.finish(twice=False)
    assert sorted(numbers(tmp_path)) == [1, 2]
    (letter,) = written(tmp_path, "dead")
    assert set(letter) == {0}
    assert len(letter) <= 2 * MIB
    assert campaign.most_memory < small + 3 * 16 * MIB + SPARE


# Anything at all -----------------------------------------------------------------------------


def mangled(data: bytes, chance_seed: str) -> bytes:
    """Bytes with a few of them changed, cut out or doubled."""
    chance = random.Random(chance_seed)
    out = bytearray(data)
    for _ in range(chance.randint(1, 12)):
        place = chance.randrange(len(out))
        match chance.randrange(4):
            case 0:
                out[place] = chance.randrange(256)
            case 1:
                del out[place : place + chance.randint(1, 40)]
            case 2:
                out[place:place] = bytes(chance.randrange(256) for _ in range(8))
            case _:
                out[place:place] = out[place : place + 50]
        out = out or bytearray(b"\n")
    return bytes(out)


PACK: dict[str, Callable[[bytes], bytes]] = {
    "jsonl": lambda data: data,
    "jsonl.gz": lambda data: gzip.compress(data, mtime=0),
}


@pytest.mark.parametrize("suffix", PACK)
def test_mangled_files_end_the_job_with_0_and_every_line_is_somewhere(
    tmp_path: Path, suffix: str, seconds: float, seed: int
) -> None:
    """Each line of a mangled file is either an item or a dead letter, each item as it stands."""
    chance = chance_of(seed, "mangled", suffix)
    budget = Budget(seconds / 4)
    while budget.another():
        folder = tmp_path / f"round-{budget.rounds}"
        campaign = accepting(folder, "dead", [])
        data = b"".join(b'{"number": %d}\n' % n for n in range(chance.randrange(5, 400)))
        files: list[bytes] = []
        for index in range(12):
            one = mangled(data, f"{seed}/{budget.rounds}/{index}")
            files.append(one)
            packed = PACK[suffix](one)
            if suffix != "jsonl" and index % 2:
                packed = mangled(packed, f"{seed}/{budget.rounds}/{index}/packed")
                files.pop()
            (folder / "in" / f"m-{index}.{suffix}").write_bytes(packed)
        campaign.finish(twice=False)
        dead, good = written(folder, "dead"), numbers(folder)
        wanted_good, wanted_bad = sorted_out(files)
        if suffix == "jsonl":
            assert sorted(good) == sorted(wanted_good), campaign.story()
            assert len(dead) == wanted_bad, campaign.story()
        else:
            assert len(good) >= len(wanted_good), campaign.story()
        campaign.tidy()


def sorted_out(files: list[bytes]) -> tuple[list[int], int]:
    """What a second reader makes of the lines: the items, and how many lines are none."""
    good: list[int] = []
    bad = 0
    for line in (line for data in files for line in data.split(b"\n")):
        stripped = line.removesuffix(b"\r")
        if not stripped.strip(b" \t\r\x0b\x0c"):
            continue
        try:
            found = json.loads(stripped.decode())
            good.append(_number(found))
        except (ValueError, TypeError):
            bad += 1
    return good, bad


def _number(found: Any) -> int:
    fields: dict[str, Any] = {}
    if isinstance(found, dict):
        fields.update(cast("dict[str, Any]", found))
    number = fields.get("number")
    if type(number) is not int or not -(2**63) <= number < 2**64:
        raise TypeError("no item")
    if type(fields.get("poison", False)) is not bool:
        raise TypeError("no item")
    return number


def test_a_packed_file_that_ends_too_early_gives_what_it_holds_and_a_dead_letter(
    tmp_path: Path,
) -> None:
    lines = [b'{"number": %d}' % n for n in range(5_000)]
    whole = gzip.compress(b"\n".join(lines) + b"\n", mtime=0)
    campaign = accepting(tmp_path, "dead", [])
    (tmp_path / "in" / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    campaign.finish()
    held = zlib.decompressobj(31).decompress(whole[: len(whole) // 2])
    assert numbers(tmp_path) == list(range(held.count(b"\n")))
    assert "dead letters 1" in campaign.log_file(1).read_text()
    refused: Counting = accepting(tmp_path / "fail", "fail", [])
    (tmp_path / "fail" / "in" / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    assert refused.run() == 1
    assert "cut.jsonl.gz" in refused.log()
    assert "Traceback" not in refused.log()
