"""Loaded by ministack's interpreter: answers on its Lambda runtime API leave at once.

Without it the kernel holds each small answer back for 40 ms (Nagle's algorithm with delayed acknowledgements).
"""

import socketserver

socketserver.StreamRequestHandler.disable_nagle_algorithm = True
