"""Part files appear whole and once, whatever is killed at whatever step."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from samza_py.checkpoint import Claim, Token
from samza_py.connectors.files import Files
from samza_py.connectors.files.parts import names_in, safe_owner, staged_name, token_of
from samza_py.connectors.files.producer import JsonlProducer
from samza_py.connectors.files.storage import LocalStorage
from samza_py.errors import ConfigError, ConnectorError
from samza_py.message import Outgoing
from samza_py.producer import Promise
from samza_py.seam import Seam, seam, use_seam

CLAIM = Claim("price/0", 1, job="shop")


def producer_of(root: Path, claim: Claim = CLAIM, *outputs: str) -> JsonlProducer:
    files = Files(root=str(root))
    declared = {name: files.jsonl_output(name, name, value=int) for name in outputs or ("out",)}
    producer = files.producer(declared, claim)
    assert isinstance(producer, JsonlProducer)
    return producer


def messages(*numbers: int, stream: str = "out") -> list[Outgoing]:
    return [Outgoing(stream, b"ignored", b"%d" % number) for number in numbers]


def seen(root: Path, output: str = "out") -> list[int]:
    """What a reader of the final names sees, checking that no line is torn."""
    found: list[int] = []
    for part in sorted((root / output).glob("part-*.jsonl")):
        text = part.read_text()
        assert text.endswith("\n")
        found += [json.loads(line) for line in text.splitlines()]
    return found


def staged(root: Path, output: str = "out") -> list[str]:
    return sorted(os.listdir(root / output / ".staged"))


async def commit(producer: JsonlProducer) -> list[Token]:
    return [token for tokens in (await producer.stage()).values() for token in tokens]


async def test_lines_are_seen_when_they_are_finished_and_not_before(tmp_path: Path) -> None:
    async with producer_of(tmp_path) as producer:
        await producer.recover(CLAIM, {})
        assert await (await producer.write(messages(1, 2, 3))) == {}
        assert seen(tmp_path) == []
        (token,) = await commit(producer)
        assert seen(tmp_path) == []
        assert await producer.stage() == {}  # nothing was written since
        await producer.write(messages(4))
        await producer.finish(token)
        assert seen(tmp_path) == [1, 2, 3]
        for token in await commit(producer):
            await producer.finish(token)
    assert seen(tmp_path) == [1, 2, 3, 4]
    assert staged(tmp_path) == []


async def test_names_carry_job_task_epoch_and_number(tmp_path: Path) -> None:
    async with producer_of(tmp_path) as producer:
        for number in range(3):
            await producer.write(messages(number))
            for token in await commit(producer):
                await producer.finish(token)
    names = sorted(p.name.rsplit("-", 1)[0] for p in (tmp_path / "out").glob("*.jsonl"))
    assert names == [f"part-shop.price.0-00000001-00000{n}" for n in (1, 2, 3)]
    assert seen(tmp_path) == [0, 1, 2]


async def test_files_are_for_their_owner_and_group(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        async with producer_of(tmp_path) as producer:
            await producer.write(messages(1))
            for token in await commit(producer):
                await producer.finish(token)
    finally:
        os.umask(before)
    (part,) = (tmp_path / "out").glob("part-*")
    assert stat.S_IMODE(part.stat().st_mode) == 0o640


async def test_large_batches_go_to_the_disk_as_they_come(tmp_path: Path) -> None:
    async with producer_of(tmp_path) as producer:
        for start in range(0, 50_000, 5000):
            await producer.write(messages(*range(start, start + 5000)))
        (name,) = staged(tmp_path)
        assert (tmp_path / "out/.staged" / name).stat().st_size > 100_000
        for token in await commit(producer):
            await producer.finish(token)
    assert seen(tmp_path) == list(range(50_000))


class Crash(BaseException):
    """The process is killed."""


class Killer(Seam):
    """Counts the named points and kills at one of them."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.left = at
        self.points: list[str] = []

    def reached(self, point: str) -> None:
        self.points.append(point)
        self.left -= 1
        if self.left == 0:
            raise Crash(point)


Tokens = Mapping[str, Sequence[Token]]


class Run:
    """A task that copies numbers to two outputs, three commits of them, and its checkpoint."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.done = 0
        self.tokens: Tokens = {}

    async def go(self, epoch: int) -> None:
        """Recover and run on from the checkpoint, to the end or the crash."""
        claim = Claim("price/0", epoch, job="shop")
        producer = producer_of(self.root, claim, "one", "two")
        try:
            await self._run(producer, claim)
        finally:  # closing writes nothing: the operating system does it for a killed process
            await producer.aclose()

    async def _run(self, producer: JsonlProducer, claim: Claim) -> None:
        await producer.aopen()
        await producer.recover(claim, self.tokens)
        while self.done < 6:
            numbers = (self.done, self.done + 1)
            await producer.write(messages(*numbers, stream="one"))
            await producer.write(messages(*numbers, stream="two"))
            tokens = await producer.stage()
            self._point("checkpoint.before")
            self.done, self.tokens = self.done + 2, tokens
            self._point("checkpoint.written")
            for several in tokens.values():
                for token in several:
                    await producer.finish(token)

    def _point(self, name: str) -> None:
        seam().reached(name)


async def _points(root: Path) -> int:
    killer = Killer(-1)
    with use_seam(killer):
        await Run(root).go(1)
    assert {
        "files.write.before_create",
        "files.write.written",
        "files.stage.before_sync",
        "files.stage.synced",
        "files.finish.before_rename",
        "files.finish.renamed",
        "files.recover.finished",
        "files.recover.removed",
    } <= set(killer.points)
    return len(killer.points)


async def test_a_crash_at_any_step_loses_and_doubles_nothing(tmp_path: Path) -> None:
    count = await _points(tmp_path / "dry")
    for first in range(1, count + 1):
        # A second crash in what comes after, at a place that differs from run to run.
        for second in (None, 1 + first % 3, 4 + first % 5):
            run = Run(tmp_path / f"{first}-{second}")
            with use_seam(Killer(first)), pytest.raises(Crash):
                await run.go(1)
            if second is not None:
                with use_seam(Killer(second)), suppress(Crash):
                    await run.go(2)
            await run.go(3)
            for output in ("one", "two"):
                assert seen(run.root, output) == [0, 1, 2, 3, 4, 5]
                assert staged(run.root, output) == []


async def test_recovering_leaves_what_other_tasks_jobs_and_owners_have_staged(
    tmp_path: Path,
) -> None:
    others = [
        Claim("price/1", 1, job="shop"),
        Claim("price/0", 1, job="other"),
        Claim("price/0", 9, job="shop"),
        Claim("price/0-1", 1, job="shop"),
    ]
    for claim in others:
        producer = producer_of(tmp_path, claim)
        await producer.aopen()
        await producer.write(messages(1))
        await producer.stage()
        await producer.aclose()
    (tmp_path / "out/.staged/strange").write_text("not ours")
    before = staged(tmp_path)

    async with producer_of(tmp_path) as producer:
        await producer.write(messages(2))
        await producer.stage()
        assert len(staged(tmp_path)) == len(before) + 1
    later = Claim("price/0", 2, job="shop")
    async with producer_of(tmp_path, later) as producer:
        await producer.recover(later, {})

    assert staged(tmp_path) == before


async def test_finishing_again_changes_nothing(tmp_path: Path) -> None:
    async with producer_of(tmp_path) as producer:
        await producer.write(messages(1))
        (token,) = await commit(producer)
        for _ in range(3):
            await producer.finish(token)
    assert seen(tmp_path) == [1]


async def test_what_a_reader_took_away_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with producer_of(tmp_path) as producer:
        await producer.write(messages(1))
        (token,) = await commit(producer)
        await producer.finish(token)
        (part,) = (tmp_path / "out").glob("part-*")
        part.unlink()
        await producer.finish(token)
    assert f"out/{part.name} is gone" in caplog.text


async def test_another_file_is_never_overwritten(tmp_path: Path) -> None:
    async with producer_of(tmp_path) as producer:
        await producer.write(messages(1))
        (token,) = await commit(producer)
        _, final = names_in(token)
        (tmp_path / final).write_text("2\n")
        with pytest.raises(ConnectorError, match="is there already"):
            await producer.finish(token)
    assert seen(tmp_path) == [2]


async def test_what_is_abandoned_is_gone(tmp_path: Path) -> None:
    async with producer_of(tmp_path) as producer:
        await producer.write(messages(1))
        (token,) = await commit(producer)
        await producer.abandon(token)
        await producer.abandon(token)
    assert staged(tmp_path) == []
    assert seen(tmp_path) == []


@pytest.mark.parametrize(
    "token",
    [
        "",
        "{}",
        token_of("../../etc/x", "out/part-x.jsonl"),
        token_of("out/.staged/x", "/etc/passwd"),
        '{"staged":"out/.staged/x","final":"out/y","version":2}',
    ],
)
async def test_a_token_that_is_damaged_or_leads_away_is_refused(
    token: Token, tmp_path: Path
) -> None:
    async with producer_of(tmp_path) as producer:
        with pytest.raises(ConnectorError, match="token of files"):
            await producer.finish(token)


@pytest.mark.parametrize("value", [b"two\nlines", None, {"a": "row"}])
async def test_what_is_not_one_line_is_rejected_alone(value: object, tmp_path: Path) -> None:
    batch = [*messages(1), Outgoing("out", None, value), *messages(3)]
    async with producer_of(tmp_path) as producer:
        failures = await (await producer.write(batch))
        for token in await commit(producer):
            await producer.finish(token)
    assert list(failures) == [1]
    assert seen(tmp_path) == [1, 3]


async def test_a_failed_write_is_not_forgotten_by_a_cancelled_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: object, name: str) -> object:
        raise OSError(5, "Input/output error")

    async with producer_of(tmp_path) as producer:
        with monkeypatch.context() as patch:
            patch.setattr(LocalStorage, "create", broken)
            with pytest.raises(ConnectorError, match=r"cannot write out/\.staged/.*Input/output"):
                await producer.write(messages(*range(20_000)))
        with pytest.raises(ConnectorError, match="Input/output error"):
            await producer.stage()
        await producer.recover(CLAIM, {})
        await producer.write(messages(1))
        for token in await commit(producer):
            await producer.finish(token)
    assert seen(tmp_path) == [1]


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file is in the way")

    with pytest.raises(ConnectorError, match=r"cannot write out/\.staged: .* free there"):
        await producer_of(tmp_path).aopen()


FULL_DISK = """
import asyncio, resource, sys
from samza_py.checkpoint import Claim
from samza_py.connectors.files import Files
from samza_py.errors import ConnectorError
from samza_py.message import Outgoing

async def main():
    files = Files(root=sys.argv[1])
    claim = Claim("price/0", 1)
    producer = files.producer({"out": files.jsonl_output("out", "out", value=int)}, claim)
    async with producer:
        await producer.write([Outgoing("out", None, b"1")])
        for token in (await producer.stage())["out"]:
            await producer.finish(token)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            for _ in range(50):
                await producer.write([Outgoing("out", None, b"2" * 10_000)])
            await producer.stage()
        except ConnectorError as error:
            print(error)
        else:
            print("nothing happened")

asyncio.run(main())
"""


def test_a_full_disk_leaves_no_torn_file_in_sight_and_says_how_much_is_free(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=True
    )

    assert ran.stdout.startswith("cannot write out/.staged/")
    assert "File too large (" in ran.stdout
    assert "free there)" in ran.stdout
    assert seen(tmp_path) == [1]
    assert len(staged(tmp_path)) == 1  # for the next owner to remove


def test_no_two_tasks_share_a_name() -> None:
    owners = [
        ("", "b/c"),
        ("", "a.b/c"),
        ("a", "b/c"),
        ("a/b", "c"),
        ("a.b", "c/d"),
        ("", "a-1/0"),
        ("", "a_1/0"),
        ("", "é/0"),
        ("", "a" * 300 + "/0"),
        ("", "a" * 300 + "/1"),
    ]
    names = [safe_owner(*owner) for owner in owners]
    assert len(set(names)) == len(names)
    for name in names:
        assert len(f"part-{name}-00000001-000001-12345678.jsonl") < 255
        assert name.isascii()
        assert "/" not in name
        assert staged_name(f"{name}-00000001-000001-12345678.jsonl") == (name, 1)


def test_an_output_is_two_phase_and_belongs_to_a_claim() -> None:
    files = Files(root="data")
    output = files.jsonl_output("out", "out", value=int)
    assert output.promise is Promise.TWO_PHASE
    assert files.producer_scope == "claim"
    with pytest.raises(ConfigError):
        files.producer({"out": output}, None)
