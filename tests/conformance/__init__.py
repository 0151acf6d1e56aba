"""Conformance: protocol scenarios as data, and the runners that play them against a service."""
