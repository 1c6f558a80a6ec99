"""The memory system keeps every promise there is, in each of its ways to write."""

from __future__ import annotations

from samza_py.producer import Limits, Promise, Requests
from samza_py.testing import Capability, conformance_tests
from tests.conformance.memory_harness import ABILITIES, MemoryCheckpointsHarness, MemoryHarness


class WholeRequests(MemoryHarness):
    capabilities = ABILITIES - {Capability.READS}
    requests = Requests.WHOLE
    limits = Limits(100, 1 << 16, 1)


class RequestsByMessage(MemoryHarness):
    capabilities = ABILITIES - {Capability.READS}
    requests = Requests.BY_MESSAGE


class Idempotent(MemoryHarness):
    capabilities = (ABILITIES | {Capability.IDEMPOTENT}) - {Capability.READS}
    promise = Promise.IDEMPOTENT


class TwoPhase(MemoryHarness):
    capabilities = (ABILITIES | {Capability.TWO_PHASE}) - {Capability.READS}
    promise = Promise.TWO_PHASE


class Transactional(MemoryHarness):
    capabilities = ABILITIES | {Capability.TRANSACTIONAL}
    promise = Promise.TRANSACTIONAL


test_it_keeps_its_promises = conformance_tests(MemoryHarness)
test_whole_requests_keep_theirs = conformance_tests(WholeRequests)
test_requests_by_message_keep_theirs = conformance_tests(RequestsByMessage)
test_idempotent_outputs_keep_theirs = conformance_tests(Idempotent)
test_staged_outputs_keep_theirs = conformance_tests(TwoPhase)
test_transactions_keep_theirs = conformance_tests(Transactional)
test_checkpoints_keep_theirs = conformance_tests(MemoryCheckpointsHarness)
