"""The same work as a job of samza-py, run by the real runtime."""
