"""The page on monitoring says what is there: every metric, every setting, blocks that are valid."""

import re
from pathlib import Path

import yaml
from prometheus_client.parser import text_string_to_metric_families

from samza_py import Job
from samza_py.monitoring import server
from samza_py.monitoring.metrics import Metrics
from samza_py.resolving.settings import settings_of
from samza_py.runtime.statistics import (
    ContainerStatistics,
    PartitionStatistics,
    TaskCounters,
    TaskStatistics,
)

PAGE = (Path(__file__).parents[2] / "docs" / "monitoring.md").read_text()


def rows(title: str) -> list[list[str]]:
    section = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_table_names_every_metric_with_its_labels() -> None:
    partitions = tuple(
        PartitionStatistics(f"kafka.orders[{unit}]", 1, unit, 1, finished=False)
        for unit in ("messages", "bytes")
    )
    task = TaskStatistics("price/0", TaskCounters(), partitions, 0)
    text = Metrics(lambda: ContainerStatistics("pricing", 1.0, (task,))).of_container().decode()
    found = {
        sample.name: set(sample.labels)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    told = {row[0].strip("`"): set(re.findall(r"`(\w+)`", row[1])) for row in rows("Metrics")}
    assert told == found


def test_the_table_names_every_setting_and_its_variable() -> None:
    settings = [s for s in settings_of(Job("any")) if s.parts[0] == "monitoring"]
    keys = {s.key for s in settings if not s.from_file}
    assert {row[0].strip("`") for row in rows("Settings")} == keys
    variables = {name for setting in settings for name in setting.variables()}
    assert set(re.findall(r"SAMZA_MONITORING__\w+", PAGE)) == variables


def test_its_numbers_are_those_of_the_code() -> None:
    assert f"at most {server.MOST_CONNECTIONS} connections" in PAGE
    assert f"each for {server.CONNECTION_S:.0f} seconds" in PAGE


def test_its_rules_ask_for_metrics_that_are_there() -> None:
    names = {row[0].strip("`") for row in rows("Metrics")}
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        assert yaml.safe_load(block)
        assert set(re.findall(r"samza_\w+", block)) <= names
