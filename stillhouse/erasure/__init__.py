"""What has to go when a document goes: everywhere that anything of it is kept.

Here is what knows all these places at once. What belongs elsewhere: how each place forgets.
"""
