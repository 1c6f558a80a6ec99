"""What samza-py costs, as ratios to hand-written loops measured in the same run.

    python -m benchmarks               every benchmark
    python -m benchmarks.memory_map    one of them

Each ends with a line of one form::

    bench NAME VALUE UNIT (LOW-HIGH, N) bar <=B: holds

VALUE is the median of N interleaved pairs, LOW and HIGH their extremes. Figures are CPU time (user
and system, all threads) unless they say otherwise: the wall clock of a shared machine says little.
`loops/` holds the loops to beat, which give the same guarantee and never change together with
`runtime/`; `jobs/` holds the same work as a job.
"""
