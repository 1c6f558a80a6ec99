"""Opens what all tasks of a container share, in order, and sees to it that it is closed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import TypeVar

from samza_py.admin import Admin
from samza_py.resolved import ResolvedJob
from samza_py.resource import AsyncResource
from samza_py.runtime.backoff import retried
from samza_py.runtime.children import Children
from samza_py.runtime.closing import Opened
from samza_py.runtime.intake import Intake
from samza_py.runtime.lifespan import Lifespan
from samza_py.runtime.producing import ProducerHost
from samza_py.runtime.rooms import Rooms
from samza_py.runtime.sending import claim_scoped, made_outbox
from samza_py.runtime.services import Services
from samza_py.runtime.task_plan import TaskPlan
from samza_py.seam import seam

logger = logging.getLogger(__name__)
T = TypeVar("T", bound=AsyncResource)


async def opened_services(
    resolved: ResolvedJob,
    opened: Opened,
    children: Children,
    threads: Executor,
    on_stop: Callable[[], None],
) -> Services:
    """Open admins, checkpoints, the lifespan, consumers and container-wide producers.

    Args:
        resolved: the job.
        opened: closes all of it, in reverse.
        children: where intakes and outboxes run; ended by the container before that.
        threads: for handlers that block.
        on_stop: asks the container to stop.

    Raises:
        UnavailableError: a system was still away after ``startup_timeout_s``.
        SamzaError: something cannot be opened at all.
    """
    timeout_s = resolved.options.startup_timeout_s
    job = resolved.job
    admins: dict[str, Admin] = {}
    for name, system in resolved.systems.items():
        streams = {s.name: s for s in resolved.streams.values() if s.system.name == name}
        admins[name] = await open_anew(
            f"system {name}", partial(system.admin, streams), opened, timeout_s
        )
    plan = TaskPlan(resolved, admins)
    for name, admin in admins.items():
        declared = [s.name for s in resolved.inputs_of(name).values() if s.creatable]
        await _create(name, admin, declared, timeout_s)
    await plan.find_inputs()
    for name, admin in admins.items():
        await _create(name, admin, list(resolved.outputs_of(name)), timeout_s)
    if resolved.ignore_checkpoint:
        await _set_aside(resolved)
    store = await open_anew(
        f"checkpoints ({resolved.checkpoint_location})",
        lambda: resolved.checkpoints.store(job.name),
        opened,
        timeout_s,
    )
    resources = await opened.enter(f"the lifespan of job {job.name}", Lifespan(resolved))
    rooms = Rooms(resolved.options)
    services = Services(resolved, resources, store, admins, plan, rooms, threads, on_stop)
    for name, system in resolved.systems.items():
        inputs = resolved.inputs_of(name)
        if inputs:
            consumer = await open_anew(
                f"the consumer of {name}", partial(system.consumer, inputs), opened, timeout_s
            )
            services.intakes[name] = Intake(name, consumer)
            children.start(services.intakes[name].run(), f"intake {name}")
        if resolved.outputs_of(name) and not claim_scoped(name, services):
            await _open_producer(services, name, opened, children, timeout_s)
    return services


async def _set_aside(resolved: ResolvedJob) -> None:
    kept, place = resolved.checkpoints, resolved.checkpoint_location
    if not kept.sets_aside:
        logger.warning("old checkpoints in %s are ignored and written over", place)
        return
    aside = await seam().in_thread(kept.set_aside, resolved.job.name)
    if aside is None:
        logger.info("there are no checkpoints to ignore in %s", place)
    else:
        logger.warning("the old checkpoints are ignored; they were set aside: %s", aside)


async def open_anew(what: str, make: Callable[[], T], opened: Opened, timeout_s: float) -> T:
    """Open a new object, again and again while its system is away."""

    async def once() -> T:
        resource = make()
        try:
            await resource.aopen()
        except BaseException:
            await resource.aclose()
            raise
        return resource

    resource = await retried(f"opening {what}", once, timeout_s=timeout_s)
    opened.closes(what, resource.aclose)
    return resource


async def _create(name: str, admin: Admin, streams: Sequence[str], timeout_s: float) -> None:
    if streams:
        what = f"creating streams of {name}"
        made = await retried(what, lambda: admin.create(streams), timeout_s=timeout_s)
        for stream in made:
            logger.info("created %s.%s", name, stream)


async def _open_producer(
    services: Services, name: str, opened: Opened, children: Children, timeout_s: float
) -> None:
    """The producer that all tasks share, and an outbox for each of its outputs."""
    system = services.resolved.systems[name]
    outputs = services.resolved.outputs_of(name)
    host = ProducerHost(name, lambda: system.producer(outputs, None))
    opened.closes(f"the producer of {name}", host.close)
    await host.open(timeout_s)
    services.hosts[name] = host
    for output in outputs.values():
        outbox = made_outbox(str(output), host, services.linger_s)
        services.outboxes[str(output)] = outbox
        children.start(outbox.run(), f"outbox {output}")
