"""The Open Inference Protocol over gRPC, spoken directly over HTTP/2.

grpc.aio, the library for this, hands every call from its own threads to the event loop and back, at about 240 us of
processor time before any work is done. Here a call is read, queued and answered by callbacks on the loop that serves
HTTP as well, at about a tenth of that. What HTTP/2 needs beyond frames, the compression of headers, is a library's.

frames      HTTP/2 frames: pure                     status      errors as gRPC's codes and trailers: pure
heads       what a call's headers say: pure         connection  one HTTP/2 connection and its limits
call        one call: its message, and its answer   listener    accepting, looking after and draining connections
messages    generated from open_inference.proto     inference   messages to tensors and back: pure
catalogue   what the model is, and its statistics   service     which method does what, and who may call it
"""
