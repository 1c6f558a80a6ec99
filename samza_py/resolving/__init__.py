"""From a declared job to the one that runs: code < file < environment < ``--set``.

    resolution = resolve(job, Sources(file=Path("pricing.toml"), environment=os.environ))

One function merges every source, converts text by the annotations of the system's own fields, and
reports all that is wrong at once. It opens no connection. This is the only place that imports
pydantic.
"""

from samza_py.resolving.merging import Resolution, resolve
from samza_py.resolving.settings import Shown, secrets_of, shown
from samza_py.resolving.sources import Sources

__all__ = ["Resolution", "Shown", "Sources", "resolve", "secrets_of", "shown"]
