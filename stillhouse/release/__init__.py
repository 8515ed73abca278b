"""From a student that was measured to one that is served: gates, signed releases, channels.

A release is a folder that never changes, with a manifest that says what it is, and a signature. A
channel is a path that a server reads; it leads to one release or another. What measures a student,
and what it is measured by, belongs into other rooms: here its figures are gathered.
"""
