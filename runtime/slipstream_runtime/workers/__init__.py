"""Several processes that serve one port as one replica: a light supervisor, and its workers.

supervisor  starts, watches, restarts and stops the workers         worker    one of them, seen from within
member      one of them, seen from the supervisor                   channel   what the two say to each other
fleet       all members as one: health and metrics                  plan      how many there should be: pure

The supervisor loads neither ONNX Runtime nor numpy: it would cost as much memory as a worker, for nothing.
"""
