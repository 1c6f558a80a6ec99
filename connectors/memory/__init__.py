"""The ``memory`` system: everything the protocol knows, in this process.

For tests, for trying things out, and as the measure of all other systems: it keeps every promise
of the protocol, so that nothing in the protocol is without a user. What it holds ends with the
process.
"""

from samza_py.connectors.memory.broker import Broker as Broker
from samza_py.connectors.memory.broker import Fault as Fault
from samza_py.connectors.memory.broker import Faults as Faults
from samza_py.connectors.memory.checkpoints import MemoryCheckpoints as MemoryCheckpoints
from samza_py.connectors.memory.coordination import Script as Script
from samza_py.connectors.memory.coordination import ScriptedCoordination as ScriptedCoordination
from samza_py.connectors.memory.streams import MemoryStream as MemoryStream
from samza_py.connectors.memory.system import Memory as Memory
