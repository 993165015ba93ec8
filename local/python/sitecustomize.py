"""Loaded by the interpreters of the emulators and of `sam local`, through PYTHONPATH.

It refuses requests of web pages before the emulator receives them. It also disables Nagle's algorithm, which together
with delayed acknowledgements holds back each small response of ministack's Lambda runtime API for 40 ms.
"""

import socketserver

import guard

socketserver.StreamRequestHandler.disable_nagle_algorithm = True
guard.install()
