"""Conformance: scenarios of the protocol as data, and the runners that play them on a service."""
