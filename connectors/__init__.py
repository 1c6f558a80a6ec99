"""The outside: one folder a system, each behind the one protocol of `samza_py.system`.

A client library is imported only inside its connector's folder. Connectors import neither each
other nor the runtime. The folder stands at the top of the repository and is imported as
`samza_py.connectors`; nothing is imported here, so that a job loads only the systems it names.
"""

# Where the repository's root is on the path, the bare name would load every class a second time.
if not __name__.startswith("samza_py."):
    raise ImportError(f"import samza_py.{__name__}, not {__name__}")
