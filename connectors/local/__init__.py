"""Checkpoints and changelogs in one file on this machine: the default.

    job = Job("pricing", checkpoints=LocalCheckpoints("state/pricing.log"))

A commit is one record of the file, written and fsync'd once. `framing` says how bytes stand in the
file, `records` what they mean, `index` where a task's newest ones are, `log` is the open file,
`compaction` keeps it small, `disk` is the operating system.
"""

from samza_py.connectors.local.checkpoints import LocalCheckpoints

__all__ = ["LocalCheckpoints"]
