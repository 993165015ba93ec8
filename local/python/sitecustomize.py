"""Loaded by the interpreters of the emulators and of `sam`, through PYTHONPATH.

It refuses requests of web pages before the emulator receives them. It also disables Nagle's algorithm, which together
with delayed acknowledgements holds back each small response of ministack's Lambda runtime API for 40 ms. `sam deploy`
compresses each function at the fastest level: at the default level this is most of the time of a local deployment.
ministack passes on the trace headers of messages.
"""

import socketserver
import zlib

import guard
import traces

socketserver.StreamRequestHandler.disable_nagle_algorithm = True
guard.install()
traces.install()
zlib.Z_DEFAULT_COMPRESSION = zlib.Z_BEST_SPEED
