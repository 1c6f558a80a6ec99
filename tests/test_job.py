"""A job as it is declared: it opens nothing, gives functions back, and refuses what cannot run."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from samza_py import DeadLetter, Fail, Job, Limit, Message, Record, Skip, StreamTask, TaskContext
from samza_py.connectors.memory import Memory
from samza_py.errors import ConfigError

MEMORY = Memory()
WORDS = MEMORY.stream("words", key=str, value=str)
OUT = MEMORY.stream("out", key=str, value=str)
MORE = MEMORY.stream("more", key=str, value=str)


def test_decorators_give_the_function_back() -> None:
    job = Job("orders")

    def one(word: Message[str, str]) -> str:
        return word.value

    def many(words: Sequence[Message[str, str]]) -> Sequence[Record[Any, str]]:
        return [Record(word.value, source=word) for word in words]

    assert job.task(WORDS, to=OUT)(one) is one
    assert job.batch_task(WORDS, to=OUT)(many) is many
    assert [(spec.name, spec.kind) for spec in job.tasks] == [("one", "message"), ("many", "batch")]


def test_settings_of_a_task_are_kept_as_they_are_meant() -> None:
    job = Job("orders")
    limit = Limit(7)
    dead = MEMORY.stream("dead")

    @job.task(
        WORDS,
        MORE,
        to=OUT,
        name="renamed",
        outputs=[MORE],
        order="partition",
        max_concurrency=limit,
        timeout="2s",
        on_error={WORDS: DeadLetter(dead)},
        grouping="all",
        priority={MORE: 3},
        bootstrap=[MORE],
    )
    def work(word: Message[str, str]) -> None: ...

    (spec,) = job.tasks
    assert spec.name == "renamed"
    assert spec.outputs == (OUT, MORE)
    assert (spec.max_concurrency, spec.limit) == (7, limit)
    assert spec.timeout_s == 2.0
    assert spec.input_policies == {"memory.words": DeadLetter(dead)}
    assert spec.priorities == {"memory.more": 3}
    assert spec.bootstrap == ("memory.more",)
    assert sorted(job.streams) == ["memory.dead", "memory.more", "memory.out", "memory.words"]
    assert job.systems == {"memory": MEMORY}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"max_concurency": 3},
            "work.max_concurency: is not a setting of a task; did you mean max_",
        ),
        ({"retries": 3}, "there are: blocking, bootstrap"),
        ({"to": "out"}, "task work.to = 'out': takes the stream object"),
        ({"outputs": [OUT, "out"]}, "task work.outputs = 'out': takes the stream object"),
        ({"bootstrap": ["words"]}, "task work.bootstrap = 'words': takes the stream object"),
        ({"on_error": {"words": Skip()}}, "task work.on_error = 'words': takes the stream object"),
        ({"on_error": {WORDS: "skip"}}, "task work.on_error = 'skip': takes Fail(), Skip()"),
        ({"on_error": "skip"}, "task work.on_error = 'skip': takes Fail(), Skip()"),
        ({"stores": ["counts"]}, "task work.stores = 'counts': takes stores that job.store(...)"),
        ({"max_concurrency": "8"}, "task work.max_concurrency = '8': takes a number or a Limit"),
        ({"max_concurrency": True}, "task work.max_concurrency = True: takes a number or a Limit"),
        ({"outputs": OUT}, "task work.outputs = <MemoryStream memory.out>: takes several: put it"),
        ({"bootstrap": WORDS}, "task work.bootstrap = <MemoryStream memory.words>: takes several"),
        ({"stores": 3}, "task work.stores = 3: takes several: put it in brackets"),
        ({"timeout": "0s"}, "task work.timeout = 0.0: must be longer than 0 seconds"),
        ({"blocking": "yes"}, "task work.blocking = 'yes': is True or False"),
        ({"priority": {WORDS: "high"}}, "task work.priority = 'high': takes a number for each"),
    ],
)
def test_a_setting_that_is_not_one_or_holds_a_name_instead_of_the_thing_is_refused(
    settings: Any, said: str
) -> None:
    def work(word: Message[str, str]) -> None: ...

    with pytest.raises(ConfigError, match=re.escape(said)):
        Job("orders").task(WORDS, **settings)(work)


def test_a_thread_cannot_yield() -> None:
    def several(word: Message[str, str]) -> Iterator[str]:
        yield word.value

    with pytest.raises(ConfigError, match=r"work\.blocking: cannot yield from a thread; return"):
        Job("orders").task(WORDS, to=OUT, name="work", blocking=True)(several)


def test_a_size_of_batches_that_is_no_number_is_refused() -> None:
    many: Any = "many"
    with pytest.raises(ConfigError, match=r"task work\.batch_messages = 'many': is a number"):
        Job("orders").batch_task(WORDS, name="work", batch_messages=many)(lambda words: None)


@pytest.mark.parametrize("decorator", ["task", "batch_task"])
def test_a_decorator_without_its_inputs_is_refused_where_it_stands(decorator: str) -> None:
    declare: Any = getattr(Job("orders"), decorator)

    def work(words: object) -> None: ...

    said = rf"@job.{decorator}: stands above work without its inputs; write @job.{decorator}\(ord"
    with pytest.raises(ConfigError, match=said):
        declare(work)


def test_a_name_instead_of_an_input_is_refused() -> None:
    words: Any = "words"
    with pytest.raises(ConfigError, match=r"task work\.inputs = .words.: takes the stream object"):
        Job("orders").task(words, name="work")(lambda word: None)


def test_a_policy_of_a_job_that_is_none_is_refused() -> None:
    policy: Any = "skip"
    with pytest.raises(ConfigError, match=r"job.on_error = 'skip': takes Fail\(\)"):
        Job("orders", on_error=policy)


async def undecorated() -> AsyncGenerator[int]:
    yield 1


@contextmanager
def not_async() -> Generator[int]:
    yield 1


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"checkpoints": "state.log"}, "job.checkpoints = 'state.log': takes checkpoints, such as"),
        ({"coordinator": 3}, "job.coordinator = 3: takes a Coordination"),
        ({"lifespan": undecorated}, "job.lifespan = 'undecorated': takes an async context manager"),
        ({"lifespan": not_async}, "an `async def` with @asynccontextmanager above it"),
        ({"lifespan": 3}, "job.lifespan = 3: takes the function itself; it is called later"),
    ],
)
def test_what_a_job_takes_is_said_where_something_else_is_given(given: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        Job("orders", **given)


@pytest.mark.parametrize("name", ["", "two words", ".hidden", "a/b", "a:b"])
def test_a_name_that_could_not_be_a_files_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="job name"):
        Job(name)


def test_options_are_named_with_or_without_their_unit() -> None:
    assert Job("a", commit_interval="2s").options.commit_interval_s == 2.0
    assert Job("a", commit_interval_s=2).options.commit_interval_s == 2.0
    with pytest.raises(ConfigError, match="is not an option; did you mean commit_interval"):
        Job("a", commit_intervall="2s")


def test_two_tasks_or_stores_of_one_name_are_refused() -> None:
    job = Job("orders")

    def work(word: Message[str, str]) -> None: ...

    job.task(WORDS)(work)
    with pytest.raises(ConfigError, match="task work: is declared twice"):
        job.task(MORE)(work)
    job.store("counts", key=str, value=int)
    with pytest.raises(ConfigError, match="store counts: is declared twice"):
        job.store("counts", key=str, value=int)
    with pytest.raises(ConfigError, match="store name"):
        job.store("no good", key=str, value=int)


def test_a_class_is_added_with_its_name_or_another() -> None:
    class Count(StreamTask[str, str, None]):
        async def process(self, message: Message[str, str], ctx: TaskContext[None]) -> None: ...

    job = Job("classes")
    job.add(Count, WORDS)
    job.add(Count, WORDS, name="again")
    job.add(lambda: Count(), WORDS, name="made")  # noqa: PLW0108  (a factory)
    assert [spec.name for spec in job.tasks] == ["Count", "again", "made"]
    assert {spec.kind for spec in job.tasks} == {"object"}
    with pytest.raises(ConfigError, match=r"is a class; add it with job\.add"):
        job.task(WORDS, name="wrong")(Count)  # type: ignore[arg-type]


def test_failing_is_the_policy_of_a_job_that_names_none() -> None:
    assert Job("a").on_error == Fail()
    assert Job("a", on_error=Skip()).on_error == Skip()


@pytest.mark.parametrize("calls", [0, -3])
def test_a_limit_allows_at_least_one_call(calls: int) -> None:
    with pytest.raises(ConfigError, match="Limit"):
        Limit(calls)


def test_a_job_says_what_it_is() -> None:
    job = Job("orders")

    @job.task(WORDS)
    def price(word: Message[str, str]) -> None: ...

    assert repr(job) == "<Job orders: price>"


@pytest.mark.parametrize("name", ["", "a/b", "a[0]", " padded"])
def test_a_stream_needs_a_name_that_can_be_told_apart(name: str) -> None:
    with pytest.raises(ConfigError, match="stream name"):
        MEMORY.stream(name, create=False)
