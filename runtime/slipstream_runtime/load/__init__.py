"""A light load generator, independent of the server's modules: `python -m slipstream_runtime.load --help`.

`schedule`, `tally` and `bodies` are pure; `client` is one HTTP connection, `traffic` the pool of them, `loops` the
open and the closed loop.
"""
