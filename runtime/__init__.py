"""The engine: reads, runs tasks, sends, commits. It knows the protocol and no system by name.

The folder stands at the top of the repository and is imported as `samza_py.runtime`.
"""

# Where the repository's root is on the path, the bare name would load every class a second time.
if not __name__.startswith("samza_py."):
    raise ImportError(f"import samza_py.{__name__}, not {__name__}")
