"""The ``memory`` system: everything the protocol knows, in this process.

For tests, for trying things out, and as the measure of all other systems: it keeps every promise
of the protocol, so that nothing in the protocol is without a user. What it holds ends with the
process.
"""

from samza_py.connectors.memory.broker import Broker, Fault, Faults
from samza_py.connectors.memory.checkpoints import MemoryCheckpoints
from samza_py.connectors.memory.coordination import Script, ScriptedCoordination
from samza_py.connectors.memory.streams import MemoryStream
from samza_py.connectors.memory.system import Memory

__all__ = [
    "Broker",
    "Fault",
    "Faults",
    "Memory",
    "MemoryCheckpoints",
    "MemoryStream",
    "Script",
    "ScriptedCoordination",
]
