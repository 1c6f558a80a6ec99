"""A store that is given a value of another type."""

from collections.abc import Sequence

from samza_py import DeadLetter, Job, Message, Record, Retry, Skip, StreamTask, TaskContext
from samza_py.connectors.memory import Memory
from samza_py.system import Input, Output

memory = Memory()
words = memory.stream("words", key=str, value=str)
sizes = memory.stream("sizes", key=str, value=int)
job = Job("wrong")
counts = job.store("counts", key=str, value=int)


@job.task(words, stores=[counts])
def work(word: Message[str, str], ctx: TaskContext[None]) -> None:
    ctx.store(counts).put(word.key, word.value)
