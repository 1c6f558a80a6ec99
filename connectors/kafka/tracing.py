"""Which trace a message belongs to: two headers that go on from an input to what comes of it.

W3C Trace Context, https://www.w3.org/TR/trace-context/: ``traceparent`` names the trace and the
step, ``tracestate`` what tracing systems add. They are passed on unchanged, so that a trace begun
by whoever wrote the input has what this job wrote in it.
"""

from __future__ import annotations

from typing import Final

from samza_py.message import Headers

TRACE_HEADERS: Final = ("traceparent", "tracestate")


def traced(own: Headers, source: Headers) -> Headers:
    """The headers of a message, with those of its source's trace where it names none itself.

    Args:
        own: what the handler has given it.
        source: those of the message that it comes from.
    """
    if any(name == TRACE_HEADERS[0] for name, _ in own):
        return own
    trace = [header for header in source if header[0] in TRACE_HEADERS]
    return (*own, *trace) if trace else own
