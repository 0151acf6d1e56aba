"""The storm: kill, stop and cut real servers and clients at random, then check what is left.

See ``python -m faults.storm --help``. ``world`` and ``deeds`` cause the faults, ``clients`` work through them
and record what they received and did, ``gathering`` reads these records and the database, and ``checker``
looks for violations. The checker shares no code with the service or the SDK.
"""
