"""Runs a job on Kafka for long under load and kills, and sees whether anything grows.

    python -m tests.campaigns.soak --seconds 900 --seed 1

Two containers share the job. One is killed or stopped at random and started again, the other lives
throughout and is measured; the broker under both is killed and comes back. The load is steady, from
a process of its own. At the end the checker compares the topics: nothing lost, disordered or
miscounted, and doubled no more than the deaths may repeat.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random

from tests.campaigns.driving import chance_of
from tests.campaigns.kafka_driving import DEADLINE_S, Mapping
from tests.campaigns.kafka_load import PARTITIONS
from tests.campaigns.usage import Usage, complaints, shown, usage_of
from tests.services.kafka import Cluster

STEADY, VICTIM = "0", "1"
"""The indexes of the two containers."""
VICTIMS = range(int(VICTIM), PARTITIONS, 2)
"""The partitions of the one that is killed."""
LANES = 100
PER_S = 3_000
SAMPLE_EVERY_S, TELL_EVERY_S = 1.0, 10.0
LONGEST_LIFE_S = 30.0
STOPPED = 0.25
"""Of the deaths, those by SIGTERM."""
OUTAGE_EVERY_S, AWAY_S = 90.0, 3.0


@dataclass
class Soak:
    """One soak: what was done, and what was seen.

    Attributes:
        cluster: one broker, which is killed.
        campaign: the job.
        chance: what deaths are drawn from.
        seconds: how long it is under load.
        kills: of the victim.
        stops: of the victim.
        outages: of the broker.
        samples: of the steady container.
    """

    cluster: Cluster
    campaign: Mapping
    chance: Random
    seconds: float
    kills: int = 0
    stops: int = 0
    outages: int = 0
    samples: list[Usage] = field(default_factory=list[Usage])

    def __post_init__(self) -> None:
        self._began = time.monotonic()
        self._steady, self._victim = self._start(STEADY), self._start(VICTIM)

    def _start(self, index: str) -> subprocess.Popen[bytes]:
        said = self._said(index)
        said.touch()
        arguments = ("--index", index, "--count", "2")
        return self.campaign.start(arguments=arguments, CAMPAIGN_VITALS=str(said))

    def _said(self, index: str) -> Path:
        return self.campaign.folder / f"vitals-{index}"

    @property
    def at_s(self) -> float:
        """How long it has run."""
        return time.monotonic() - self._began

    @property
    def deaths(self) -> str:
        """What was killed and stopped."""
        return f"kills {self.kills}, stops {self.stops}, outages {self.outages}"

    async def run(self) -> None:
        """Keep it under load, and watch, for as long as it is to last."""
        async with self.campaign.loaded(PER_S), asyncio.TaskGroup() as group:
            watching = [group.create_task(self._watch()), group.create_task(self._tell())]
            await self._disturb()
            for one in watching:
                one.cancel()

    async def finish(self) -> dict[str, int]:
        """Wait until all is done and committed, stop both containers, and have it checked."""
        campaign = self.campaign
        await campaign.until(lambda done: done >= campaign.written, self._steady)
        async with asyncio.timeout(DEADLINE_S):
            while await campaign.uncommitted():  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        for process in (self._victim, self._steady):
            await campaign.stop(process)
        return await campaign.check(f"--dead={campaign.topic}.dead")

    # What is done to it ----------------------------------------------------------------------

    async def _disturb(self) -> None:
        """Kill the victim and, now and then, the broker, until the time is over."""
        outages = max(1, int(self.seconds / OUTAGE_EVERY_S))
        due = [(number + 0.5) / outages * self.seconds for number in range(outages)]
        longest_s = min(LONGEST_LIFE_S, self.seconds / 6)
        while True:
            life_s = self.chance.uniform(0.1 * longest_s, longest_s)
            if self.at_s + life_s > self.seconds:
                break
            await asyncio.sleep(life_s)
            if due and self.at_s >= due[0]:
                await self._take_broker_away()
                del due[0]
            else:
                await self._end_victim()
        await asyncio.sleep(max(0, self.seconds - self.at_s))

    async def _end_victim(self) -> None:
        if self.chance.random() < STOPPED:
            await self.campaign.stop(self._victim)
            self.stops += 1
        else:
            await self.campaign.kill(self._victim, VICTIMS)
            self.kills += 1
        self._victim = self._start(VICTIM)

    async def _take_broker_away(self) -> None:
        node = self.cluster.node(1)
        await asyncio.to_thread(node.kill)
        await asyncio.sleep(AWAY_S)
        await asyncio.to_thread(node.restart)
        self.outages += 1

    # What is seen of it ----------------------------------------------------------------------

    async def _watch(self) -> None:
        """Sample the steady container; it must not end."""
        while True:
            assert self._steady.poll() is None, f"it ended: {self.campaign.log_file(1).read_text()}"
            self.samples.append(usage_of(self._steady.pid, self.at_s, self._said(STEADY)))
            await asyncio.sleep(SAMPLE_EVERY_S)

    async def _tell(self) -> None:
        """Print how it goes."""
        before = 0
        while True:
            await asyncio.sleep(TELL_EVERY_S)
            now = self.samples[-1]
            print(
                f"{self.at_s:5.0f} s  {(now.handled - before) / TELL_EVERY_S:,.0f} messages/s"
                f"  memory {now.rss_mb:.1f} MB  files {now.files}  threads {now.threads}"
                f"  processes {now.processes}  children {now.children}  {self.deaths}",
                flush=True,
            )
            before = now.handled


async def soak(cluster: Cluster, folder: Path, seconds: float, seed: int, leak: str = "") -> Soak:
    """Run one to its end and print what it came to; fails where the job was wrong.

    Args:
        cluster: one broker that runs, which is killed.
        folder: of the logs.
        seconds: how long it is under load.
        seed: what deaths are drawn from.
        leak: what the job is to leak (`jobs/soaking.py`).
    """
    settings = {"CAMPAIGN_LEAK": leak}
    campaign = Mapping(folder, cluster.address, lanes=LANES, job="soaking.py", settings=settings)
    await campaign.make_topics()
    try:
        run = Soak(cluster, campaign, chance_of(seed, "soak"), seconds)
        await run.run()
        report = await run.finish()
    finally:
        campaign.end()
    print(f"{run.deaths}; {report}, allowed to be doubled: {campaign.allowed}")
    print(shown(run.samples))
    return run


def main() -> int:
    """Soak as the command line says; 1 where something grows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=900)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--samples", type=Path, help="a file for all samples, as JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Cluster(Path(folder) / "kafka") as cluster:
        run = asyncio.run(soak(cluster, Path(folder), given.seconds, given.seed))
    if given.samples:
        given.samples.write_text(json.dumps(list(map(asdict, run.samples))))
    found = complaints(run.samples)
    print("\n".join(found) or "nothing grows")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
