"""The fuzz suite: hostile messages, made from descriptors, to every RPC and the stream of a real server.

``python -m fuzz --help`` says how to run it. ``values`` and ``messages`` make messages, ``pool`` remembers
ids that the server returned, ``calls``, ``streams``, ``errand`` and ``hoard`` send them, ``oracle`` judges
each answer, ``house`` and ``canary`` watch the server and what is not the fuzzers' business, ``aftermath``
checks the end state. New RPCs and fields are covered without a change here.
"""
