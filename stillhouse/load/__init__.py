"""How fast a server answers: loads, what came of them, and what follows.

`target` is where requests go, `texts` what is asked, `request` one of them from sending to its last
token, `loops` how many are sent when, `figures` what is made of their times, `limits` what they are
held to. `served` starts a student's own server, `memory` watches it, `machine` says where it runs,
`profile` does all of it in order; `plots`, `shown` and `page` are what a person reads. How the
server works is `serve/`'s business, and whether its answers are right `evaluate/`'s.
"""
