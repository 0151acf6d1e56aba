"""The fuzz suite: hostile messages, generated from descriptors, to every RPC of a real server.

See ``python -m fuzz --help``. ``values`` and ``messages`` generate messages, ``pool`` remembers ids that the
server returned, ``calls``, ``streams``, ``errand`` and ``hoard`` send the messages, ``oracle`` checks each
response, ``house`` and ``canary`` watch the server and data that must not change, ``aftermath`` checks the
final state. New RPCs and fields are covered without changes here.
"""
