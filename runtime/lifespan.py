"""The job's lifespan: user code around the container, whose errors are told as that."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any

from samza_py.errors import ContainerError, SamzaError
from samza_py.resolved import ResolvedJob


class Lifespan(AbstractAsyncContextManager[Any]):
    """Enters and leaves the lifespan of a job, or what stands in for it in a test.

    Args:
        resolved: the job.
    """

    def __init__(self, resolved: ResolvedJob) -> None:
        self._resolved = resolved
        self._entered: AbstractAsyncContextManager[Any] | None = None

    async def __aenter__(self) -> Any:
        declared = self._resolved.job.lifespan
        try:
            if self._resolved.resources is not None:
                self._entered = self._resolved.resources
            elif declared is not None:
                self._entered = declared()
            return None if self._entered is None else await self._entered.__aenter__()
        except SamzaError:
            raise
        except Exception as error:
            raise self._failed("entered") from error

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        if self._entered is None:
            return None
        try:
            return await self._entered.__aexit__(kind, error, trace)
        except SamzaError:
            raise
        except Exception as failed:
            if failed is error:
                raise
            raise self._failed("left") from failed

    def _failed(self, when: str) -> ContainerError:
        name = self._resolved.job.name
        return ContainerError(f"the lifespan of job {name} failed while it was {when}")
