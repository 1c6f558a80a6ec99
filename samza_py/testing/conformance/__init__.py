"""The conformance suite: what every connector promises, as checks that anyone can run.

``capability`` says what can be declared, ``harness`` what a connector's author writes, ``check``
what a check is, ``sessions`` what checks are written in; the checks stand by subject in ``asking``,
``reading``, ``seeking``, ``writing``, ``staging``, ``transactions``, ``checkpoints``,
``changelog`` and ``coordination``; ``suite`` runs them.
"""
