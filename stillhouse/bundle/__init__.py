"""One archive that sets everything up on a machine without a network: what goes into it, its
licences and bill of materials, and its check.

Belongs here: what installs. Nothing that a project made or holds (tables, vault, keys) is read.
"""
