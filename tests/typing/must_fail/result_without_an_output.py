"""A result of a task that has nowhere to send it."""

from collections.abc import Sequence

from samza_py import DeadLetter, Job, Message, Record, Retry, Skip, StreamTask, TaskContext
from samza_py.connectors.memory import Memory
from samza_py.system import Input, Output

memory = Memory()
words = memory.stream("words", key=str, value=str)
sizes = memory.stream("sizes", key=str, value=int)
job = Job("wrong")
counts = job.store("counts", key=str, value=int)


@job.task(words)
def work(word: Message[str, str]) -> str:
    return word.value
