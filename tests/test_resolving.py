"""Code, file, environment and flags become one job; each mistake is named with its place."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from samza_py.admin import Admin
from samza_py.checkpoint import Checkpoints, CheckpointStore
from samza_py.connectors.local import LocalCheckpoints
from samza_py.connectors.memory import Memory, MemoryCheckpoints
from samza_py.errors import ConfigError
from samza_py.job import Job
from samza_py.message import Message
from samza_py.resolving import Resolution, Sources, resolve
from samza_py.serde import Raw
from samza_py.system import AnyStream, Stream, System
from samza_py.values import HIDDEN, Secret


@dataclass(frozen=True)
class Login:
    user: str
    password: Secret | None = None


class Client:
    """Something that no text can spell."""


@dataclass(frozen=True, kw_only=True)
class Broker(System):
    servers: str
    name: str = "broker"
    password: Secret | None = None
    api_token: str = ""
    linger_ms: int = 5
    tls: bool = False
    hosts: tuple[str, ...] = ()
    extra: Mapping[str, str] = field(default_factory=dict[str, str])
    login: Login = Login("nobody")
    client: Client | None = None
    kept: Checkpoints | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.linger_ms < 0:
            raise ConfigError(f"systems.{self.name}.linger_ms", "must be 0 or more", self.linger_ms)

    def admin(self, streams: Mapping[str, AnyStream]) -> Admin:
        raise NotImplementedError

    def checkpoints(self) -> Checkpoints | None:
        return self.kept


class Durable(Checkpoints):
    def store(self, job: str) -> CheckpointStore:
        raise NotImplementedError

    def location(self, job: str) -> str:
        return "somewhere that lasts"


async def price(order: Message[Any, Any]) -> None:
    """Reads."""


def job_of(*systems: System, **settings: Any) -> Job[None]:
    job = Job("pricing", **settings)
    for system in systems or (Broker(servers="here:1"),):
        stream = Stream(system, "orders", Raw(), Raw())
        job.task(stream, to=Stream(system, "orders.dead", Raw(), Raw()), name=system.name)(price)
    return job


def broker(resolution: Resolution) -> Broker:
    system = resolution.resolved.systems["broker"]
    assert isinstance(system, Broker)
    assert resolution.problems == ()
    return system


def problem(resolution: Resolution) -> str:
    (only,) = resolution.problems
    return str(only)


def shown(resolution: Resolution) -> dict[str, tuple[str, str]]:
    return {setting.key: (setting.value, setting.source) for setting in resolution.shown}


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    return tmp_path / "prod.toml"


# Which source wins -------------------------------------------------------------------------


def test_a_job_without_sources_keeps_what_its_code_says() -> None:
    job = job_of(commit_interval="3s")
    resolution = resolve(job)
    assert resolution.resolved.options == job.options
    assert broker(resolution) is job.systems["broker"]
    assert shown(resolution)["job.commit_interval_s"] == ("3 s", "job file")
    assert shown(resolution)["job.max_threads"] == ("16", "default")


def test_a_flag_beats_the_environment_beats_a_file_beats_the_code(toml: Path) -> None:
    toml.write_text(
        "[job]\ncommit_interval = '2s'\nmax_threads = 2\n[systems.broker]\nlinger_ms = 2\n"
    )
    resolution = resolve(
        job_of(commit_interval="1s"),
        Sources(
            toml,
            {"SAMZA_JOB__MAX_THREADS": "3", "SAMZA_SYSTEMS__BROKER__LINGER_MS": "3"},
            ["systems.broker.linger_ms=4"],
        ),
    )
    options = resolution.resolved.options
    assert (options.commit_interval_s, options.max_threads) == (2.0, 3)
    assert broker(resolution).linger_ms == 4
    assert shown(resolution)["job.commit_interval_s"] == ("2 s", f"{toml}, line 2")
    assert shown(resolution)["job.max_threads"] == ("3", "SAMZA_JOB__MAX_THREADS")
    assert shown(resolution)["systems.broker.linger_ms"] == ("4", "--set")


def test_the_declared_job_is_not_changed() -> None:
    job = job_of()
    resolve(job, Sources(overrides=["systems.broker.linger_ms=9", "streams.orders.name=o2"]))
    system = job.systems["broker"]
    assert isinstance(system, Broker)
    assert system.linger_ms == 5
    assert job.streams["broker.orders"].physical == "orders"


@pytest.mark.parametrize("key", ["job.commit_interval", "job.commit_interval_s"])
@pytest.mark.parametrize(("text", "seconds"), [("250ms", 0.25), ("2", 2.0), ("1m", 60.0)])
def test_durations_may_be_written_with_units(key: str, text: str, seconds: float) -> None:
    resolution = resolve(job_of(), Sources(overrides=[f"{key}={text}"]))
    assert resolution.resolved.options.commit_interval_s == seconds


def test_sizes_may_be_written_with_units() -> None:
    resolution = resolve(job_of(), Sources(environment={"SAMZA_JOB__MAX_OUTBOX_BYTES": "64KiB"}))
    assert resolution.resolved.options.max_outbox_bytes == 65536
    assert shown(resolution)["job.max_outbox_bytes"][0] == "64.0 KiB"


# Streams -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sources",
    [
        Sources(overrides=["streams.orders.name=orders-v2"]),
        Sources(overrides=["streams.broker.orders.name=orders-v2"]),
        Sources(environment={"SAMZA_STREAMS__ORDERS__NAME": "orders-v2"}),
        Sources(environment={"SAMZA_STREAMS__BROKER_ORDERS__NAME": "orders-v2"}),
    ],
)
def test_a_stream_gets_another_physical_name_and_keeps_its_logical_one(sources: Sources) -> None:
    stream = resolve(job_of(), sources).resolved.streams["broker.orders"]
    assert (stream.name, stream.physical) == ("orders", "orders-v2")


def test_names_with_dots_are_found_in_every_source(toml: Path) -> None:
    toml.write_text('[streams."orders.dead"]\nname = "dead-1"\n')
    streams = resolve(job_of(), Sources(toml)).resolved.streams
    assert streams["broker.orders.dead"].physical == "dead-1"
    environment = {"SAMZA_STREAMS__ORDERS_DEAD__NAME": "dead-2"}
    streams = resolve(job_of(), Sources(environment=environment)).resolved.streams
    assert streams["broker.orders.dead"].physical == "dead-2"


def test_a_stream_that_two_systems_have_must_be_named_with_its_system() -> None:
    job = job_of(Broker(servers="a"), Broker(servers="b", name="second"))
    told = problem(resolve(job, Sources(overrides=["streams.orders.name=x"])))
    assert "streams.orders.name" in told
    resolution = resolve(job, Sources(overrides=["streams.second.orders.name=x"]))
    assert resolution.resolved.streams["second.orders"].physical == "x"
    assert resolution.resolved.streams["broker.orders"].physical == "orders"


def test_streams_follow_their_system_when_it_is_replaced() -> None:
    resolution = resolve(job_of(), Sources(overrides=["systems.broker.linger_ms=9"]))
    for stream in resolution.resolved.streams.values():
        assert stream.system is resolution.resolved.systems["broker"]


# Values of systems -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("true", "tls", True),
        ("0", "tls", False),
        ("17", "linger_ms", 17),
        ("a:1, b:2", "hosts", ("a:1", "b:2")),
        ('["a:1"]', "hosts", ("a:1",)),
        ('{"a": "b"}', "extra", {"a": "b"}),
        ("x=y", "servers", "x=y"),
    ],
)
def test_text_becomes_what_the_field_is_annotated_as(text: str, name: str, value: object) -> None:
    resolution = resolve(job_of(), Sources(overrides=[f"systems.broker.{name}={text}"]))
    assert getattr(broker(resolution), name) == value


def test_a_table_of_a_file_may_be_one_value(toml: Path) -> None:
    toml.write_text("[systems.broker.extra]\na = 'b'\n")
    assert broker(resolve(job_of(), Sources(toml))).extra == {"a": "b"}


def test_fields_of_a_dataclass_inside_are_set_one_by_one() -> None:
    environment = {
        "SAMZA_SYSTEMS__BROKER__LOGIN__USER": "somebody",
        "SAMZA_SYSTEMS__BROKER__LOGIN__PASSWORD": "canary",
    }
    login = broker(resolve(job_of(), Sources(environment=environment))).login
    assert login == Login("somebody", Secret("canary"))


def test_a_field_that_no_text_can_spell_is_no_setting() -> None:
    resolution = resolve(job_of(), Sources(overrides=["systems.broker.client=x"]))
    assert "is not a setting" in problem(resolution)
    assert "systems.broker.client" not in shown(resolution)


# Secrets -----------------------------------------------------------------------------------


def test_a_secret_comes_from_the_environment_or_a_file_and_is_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("canary\n")
    for environment in (
        {"SAMZA_SYSTEMS__BROKER__PASSWORD": "canary"},
        {"SAMZA_SYSTEMS__BROKER__PASSWORD_FILE": str(file)},
    ):
        resolution = resolve(job_of(), Sources(environment=environment))
        assert broker(resolution).password == Secret("canary")
        assert shown(resolution)["systems.broker.password"] == (HIDDEN, next(iter(environment)))
        assert "canary" not in repr(resolution.shown)
        assert "canary" in resolution.secrets


def test_a_field_that_is_named_like_a_secret_is_one_even_as_plain_text() -> None:
    environment = {"SAMZA_SYSTEMS__BROKER__API_TOKEN": "canary"}
    resolution = resolve(job_of(), Sources(environment=environment))
    assert broker(resolution).api_token == "canary"
    assert shown(resolution)["systems.broker.api_token"][0] == HIDDEN
    assert "canary" in resolution.secrets


def test_a_password_inside_an_address_is_hidden() -> None:
    resolution = resolve(job_of(Broker(servers="https://me:canary@host/x?sig=abc123&y=1")))
    assert (
        shown(resolution)["systems.broker.servers"][0]
        == f"'https://{HIDDEN}@host/x?sig={HIDDEN}&y=1'"
    )
    assert "canary" in resolution.secrets


def test_a_secret_on_the_command_line_is_refused_without_showing_it() -> None:
    told = problem(resolve(job_of(), Sources(overrides=["systems.broker.password=canary"])))
    assert "SAMZA_SYSTEMS__BROKER__PASSWORD_FILE" in told
    assert "canary" not in told


@pytest.mark.parametrize(("content", "why"), [(None, "No such file"), ("", "empty")])
def test_a_secret_file_that_holds_nothing_is_named(
    tmp_path: Path, content: str | None, why: str
) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_text(content)
    environment = {"SAMZA_SYSTEMS__BROKER__PASSWORD_FILE": str(file)}
    told = problem(resolve(job_of(), Sources(environment=environment)))
    assert why in told
    assert str(file) in told


# Mistakes ----------------------------------------------------------------------------------


def test_a_typo_in_a_file_is_named_with_its_line_and_the_nearest_key(toml: Path) -> None:
    toml.write_text("# settings\n[job]\n\ncomit_interval = '5s'\n")
    told = problem(resolve(job_of(), Sources(toml)))
    assert "job.comit_interval" in told
    assert "did you mean job.commit_interval?" in told
    assert f"({toml}, line 4)" in told


def test_a_typo_in_a_variable_is_named_with_the_nearest_variable() -> None:
    told = problem(resolve(job_of(), Sources(environment={"SAMZA_SYSTEMS__BROKER__LINGERMS": "1"})))
    assert "did you mean SAMZA_SYSTEMS__BROKER__LINGER_MS?" in told


def test_one_underscore_where_two_belong_is_pointed_out() -> None:
    told = problem(resolve(job_of(), Sources(environment={"SAMZA_JOB_COMMIT_INTERVAL": "1s"})))
    assert "two underscores between its parts: SAMZA_JOB__COMMIT_INTERVAL" in told


@pytest.mark.parametrize(
    ("variable", "told"),
    [
        ("SAMZA_COMMIT_INTERVAL", "did you mean SAMZA_JOB__COMMIT_INTERVAL?"),
        ("SAMZA_MAX_THREAD", "did you mean SAMZA_JOB__MAX_THREADS?"),
        ("SAMZA_JOB_MAX_THREAD", "did you mean SAMZA_JOB__MAX_THREADS?"),
        ("SAMZA_CONTAINER_INDX", "did you mean SAMZA_CONTAINER_INDEX?"),
        ("SAMZA_COLOUR", "settings begin with SAMZA_JOB__"),
    ],
)
def test_a_variable_that_is_no_setting_is_refused_with_the_nearest(
    variable: str, told: str
) -> None:
    refused = problem(resolve(job_of(), Sources(environment={variable: "5s"})))
    assert refused.startswith(f"{variable}: is not a setting of this job")
    assert told in refused


def test_the_container_of_several_is_no_setting_of_the_job() -> None:
    environment = {"SAMZA_CONTAINER_INDEX": "0", "SAMZA_CONTAINER_COUNT": "3"}
    assert resolve(job_of(), Sources(environment=environment)).problems == ()


def test_variables_that_kubernetes_sets_for_a_service_are_left_alone() -> None:
    environment = {
        "SAMZA_JOB_SERVICE_HOST": "10.0.0.1",
        "SAMZA_JOB_SERVICE_PORT_HTTP": "80",
        "SAMZA_PORT": "tcp://10.0.0.1:80",
        "SAMZA_UI_PORT_80_TCP_ADDR": "10.0.0.1",
    }
    assert resolve(job_of(), Sources(environment=environment)).problems == ()


def test_a_key_that_resembles_none_lists_what_stands_beside_it() -> None:
    told = problem(resolve(job_of(), Sources(overrides=["systems.broker.zzz=1"])))
    assert "there are: " in told
    assert "linger_ms" in told


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("max_threads = 'many'", "must be a valid integer"),
        ("max_threads = 0", "must be at least 1"),
        ("commit_interval = 'soon'", "is not a duration such as"),
        ("max_outbox_bytes = '3 apples'", "is not a size such as"),
        ("guarantee = 'twice'", "must be 'at_least_once' or 'exactly_once'"),
    ],
)
def test_a_wrong_value_of_the_job_is_named_with_its_line(toml: Path, line: str, told: str) -> None:
    toml.write_text(f"[job]\n{line}\n")
    text = problem(resolve(job_of(), Sources(toml)))
    assert told in text
    assert f"{toml}, line 2" in text


def test_a_wrong_value_of_a_system_is_named_with_its_source(toml: Path) -> None:
    toml.write_text("[systems.broker]\ntls = 'perhaps'\n")
    told = problem(resolve(job_of(), Sources(toml)))
    assert "systems.broker.tls" in told
    assert "valid boolean" in told
    assert f"{toml}, line 2" in told


def test_what_a_system_itself_refuses_is_named_with_its_source() -> None:
    told = problem(resolve(job_of(), Sources(overrides=["systems.broker.linger_ms=-1"])))
    assert told == "systems.broker.linger_ms = -1: must be 0 or more (--set)"


def test_all_mistakes_of_all_sources_are_reported_together(toml: Path) -> None:
    toml.write_text("[job]\nmax_thread = 1\n[system.broker]\ntls = true\n")
    resolution = resolve(
        job_of(),
        Sources(toml, {"SAMZA_STREAMS__ORDER__NAME": "x"}, ["job.profile=quick", "nonsense"]),
    )
    keys = {error.key for error in resolution.problems}
    assert keys == {
        "job.max_thread",
        "system.broker.tls",
        "SAMZA_STREAMS__ORDER__NAME",
        "job.profile",
        "--set",
    }


# Files -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.toml", "[job\n", "is not TOML"),
        ("a.toml", 'x = "C:\\data"\n', "write a Windows path in single quotes"),
        ("a.yaml", "job: [1\n", "is not YAML"),
        ("a.yaml", "- 1\n", "must hold tables"),
        ("a.toml", 'x = "C:\\Users"\n', "write a Windows path in single quotes"),
        ("a.ini", "", "must end in .toml, .yaml or .yml"),
        ("a.toml", None, "there is no file"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(
    tmp_path: Path, name: str, content: str | None, told: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    assert told in problem(resolve(job_of(), Sources(path)))


def test_an_empty_file_sets_nothing(tmp_path: Path) -> None:
    for name in ("a.toml", "a.yaml"):
        path = tmp_path / name
        path.write_text("")
        assert resolve(job_of(), Sources(path)).problems == ()


def test_yaml_is_read_with_lines_too(tmp_path: Path) -> None:
    path = tmp_path / "prod.yaml"
    path.write_text("job:\n  commit_interval: 2s\n  max_thread: 3\n")
    resolution = resolve(job_of(), Sources(path))
    assert resolution.resolved.options.commit_interval_s == 2.0
    assert f"{path}, line 3" in problem(resolution)


# Checkpoints -------------------------------------------------------------------------------


def test_checkpoints_are_kept_where_the_job_says() -> None:
    kept = Durable()
    job = job_of(Broker(servers="a", kept=Durable()), checkpoints=kept)
    assert resolve(job).resolved.checkpoints is kept


def test_checkpoints_are_kept_in_the_only_system_that_keeps_them_for_good() -> None:
    kept = Durable()
    job = job_of(Broker(servers="a", kept=kept), Memory())
    assert resolve(job).resolved.checkpoints is kept


@pytest.mark.parametrize("offered", [0, 2])
def test_checkpoints_are_kept_in_a_local_file_where_none_or_several_could(
    offered: int,
) -> None:
    systems = [
        Broker(servers="a", name=f"b{n}", kept=Durable() if n < offered else None) for n in range(2)
    ]
    assert isinstance(resolve(job_of(*systems)).resolved.checkpoints, LocalCheckpoints)


def test_the_local_file_is_named_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/var/state")
    location = resolve(job_of()).resolved.checkpoint_location
    assert location == "/var/state/samza-py/pricing/checkpoints.log"


def test_positions_in_a_memory_system_are_kept_no_longer_than_it_lasts() -> None:
    assert isinstance(resolve(job_of(Memory())).resolved.checkpoints, MemoryCheckpoints)
    mixed = job_of(Memory(), Broker(servers="a"))
    assert isinstance(resolve(mixed).resolved.checkpoints, LocalCheckpoints)
