"""Coordinators keep their promises: the two without a service, and the scripted one."""

from __future__ import annotations

from samza_py.connectors.memory import Memory, Script
from samza_py.coordination import Coordination
from samza_py.runtime.coordinators import Embedded, Static
from samza_py.testing import CoordinationHarness, conformance_tests


class EmbeddedHarness(CoordinationHarness):
    @property
    def coordination(self) -> Coordination:
        return Embedded()


class StaticHarness(CoordinationHarness):
    @property
    def coordination(self) -> Coordination:
        return Static(0, 1)


class ScriptedHarness(CoordinationHarness):
    def __init__(self) -> None:
        self.script = Script()
        self.memory = Memory().connect("only")

    @property
    def coordination(self) -> Coordination:
        self.script.grant("only")
        return self.script.container(self.memory)

    async def grant_new(self) -> None:
        self.script.grant("only")


test_embedded_keeps_its_promises = conformance_tests(EmbeddedHarness)
test_static_keeps_its_promises = conformance_tests(StaticHarness)
test_scripted_keeps_its_promises = conformance_tests(ScriptedHarness)
