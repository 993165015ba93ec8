"""Loaded by the interpreters of the emulators and of `sam local`, through PYTHONPATH.

Requests of web pages are refused before the emulator sees them. Answers on ministack's Lambda runtime API leave at once:
without that the kernel holds each small answer back for 40 ms (Nagle's algorithm with delayed acknowledgements).
"""

import socketserver

import guard

socketserver.StreamRequestHandler.disable_nagle_algorithm = True
guard.install()
