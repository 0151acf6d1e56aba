"""The storm: kill, stop and cut real servers and clients at random, then check what is left.

``python -m faults.storm --help`` says how to run it. ``world`` and ``deeds`` make the bad day, ``clients``
live through it and record what they learned and did, ``gathering`` reads these records and the database, and
``checker`` judges them. The checker shares no code with the service or the SDK.
"""
