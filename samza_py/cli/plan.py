"""``samza-py plan``: what a start would make, streams and checkpoints, and what keeps it back."""

from __future__ import annotations

from samza_py.admin import Planned
from samza_py.resolved import ResolvedJob


async def plan_lines(resolved: ResolvedJob) -> tuple[list[str], bool]:
    """What the systems say to the job's streams and checkpoints, and whether a start succeeds.

    Raises:
        UnavailableError: a system cannot be asked now.
        ConnectorError: it refuses to tell.
    """
    found: list[tuple[str, Planned]] = []
    for name, system in resolved.systems.items():
        streams = {s.name: s for s in resolved.streams.values() if s.system.name == name}
        used = sorted({*resolved.inputs_of(name), *resolved.outputs_of(name)})
        async with system.admin(streams) as admin:
            found += [(f"{name}.{one.stream}", one) for one in await admin.plan(used)]
    found += [(one.stream, one) for one in await resolved.checkpoints.plan(resolved.job.name)]
    refused = sum(not planned.made for _, planned in found)
    if not found:
        return [f"{resolved.job.name}: a start would make nothing"], True
    said = f"a start would make {len(found) - refused}"
    said += f", and fail by {refused}" if refused else ""
    lines = [f"{resolved.job.name}: {said}"]
    for place, planned in found:
        lines.append(f"  {'+' if planned.made else '!'} {place}: {planned.text}")
    return lines, not refused
